"""Small models as libraries themselves wrote them that the test environment does not have.

Origin of `samples.tar.xz`: Keras 3.15.1 and TensorFlow 2.21.0 (a Sequential of two Dense layers:
`keras.h5`, `model.keras`, `saved_model.pb`, `model.tflite`), h5py 3.14.0 (`old.h5` with
`libver="earliest"`, `dense.h5` with `libver="latest"` and `track_order`), XGBoost 3.2.0, LightGBM
4.7.0 and CatBoost 1.2.10 (two trees on 60 rows, in their own formats and pickled), joblib 1.6 with
lz4 4.4.5, py7zr 1.1.4 (two members each) and gguf 0.19.0 (one tensor, a chat template).
"""

import tarfile
from functools import cache
from pathlib import Path

_ARCHIVE = Path(__file__).with_name("samples.tar.xz")


@cache
def samples() -> dict[str, bytes]:
    """Name → content."""
    with tarfile.open(_ARCHIVE) as archive:
        members = [(info.name, archive.extractfile(info)) for info in archive]
        return {name: file.read() for name, file in members if file is not None}

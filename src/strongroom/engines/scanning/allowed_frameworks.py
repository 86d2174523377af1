"""Uses that pickles of deep-learning and boosting libraries make.

Written by examples/generate_framework_allowlist.py, read by people. Module → use or uses → names;
uses in the alphabet of `symbols.kind_of`, several of them with ` | ` between. `-` is to be named
only, `object` is made by `cls.__new__(cls)` and then given its attributes.
"""

FRAMEWORKS: dict[str, dict[str, str]] = {
    "catboost.core": {
        "object": """
            CatBoost CatBoostClassifier CatBoostRegressor
        """,
    },
    "collections": {
        "build(dict) | call() | setitem": """
            OrderedDict
        """,
    },
    "lightgbm.basic": {
        "object": """
            Booster
        """,
    },
    "lightgbm.sklearn": {
        "object": """
            LGBMClassifier LGBMRanker LGBMRegressor
        """,
    },
    "torch": {
        "-": """
            BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage
            ComplexFloatStorage DoubleStorage FloatStorage HalfStorage IntStorage LongStorage
            QInt8Storage QUInt8Storage ShortStorage bfloat16 bits16 bits1x8 bits2x4 bits4x2
            bits8 bool complex128 complex32 complex64 float16 float32 float4_e2m1fn_x2 float64
            float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int16
            int2 int3 int32 int4 int5 int6 int64 int7 int8 per_channel_affine per_tensor_affine
            qint32 qint8 quint2x4 quint4x2 quint8 uint1 uint16 uint2 uint3 uint32 uint4 uint5
            uint6 uint64 uint7 uint8
        """,
        "call(str)": """
            device
        """,
        "call(tuple)": """
            Size
        """,
    },
    "torch._C._nn": {
        "-": """
            gelu
        """,
    },
    "torch._utils": {
        "call(@torch.*,tuple,tuple,int)": """
            _rebuild_meta_tensor_no_storage
        """,
        "call(object,int,object)": """
            _rebuild_parameter
        """,
        "call(object,object,object,object)": """
            _rebuild_nested_tensor
        """,
        "call(object,tuple)": """
            _rebuild_sparse_tensor
        """,
        "call(persistent,int,tuple,tuple,int,object)": """
            _rebuild_tensor_v2
        """,
        "call(persistent,int,tuple,tuple,int,object,@torch.*)": """
            _rebuild_tensor_v3
        """,
        "call(persistent,int,tuple,tuple,tuple,int,object)": """
            _rebuild_qtensor
        """,
    },
    "torch.nn.functional": {
        "-": """
            relu
        """,
    },
    "torch.nn.modules.activation": {
        "object": """
            CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid
            LogSoftmax Mish MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax
            Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold
        """,
    },
    "torch.nn.modules.adaptive": {
        "object": """
            AdaptiveLogSoftmaxWithLoss
        """,
    },
    "torch.nn.modules.batchnorm": {
        "object": """
            BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm
        """,
    },
    "torch.nn.modules.channelshuffle": {
        "object": """
            ChannelShuffle
        """,
    },
    "torch.nn.modules.container": {
        "object": """
            Container ModuleDict ModuleList ParameterDict ParameterList Sequential
        """,
    },
    "torch.nn.modules.conv": {
        "object": """
            Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d
        """,
    },
    "torch.nn.modules.distance": {
        "object": """
            CosineSimilarity PairwiseDistance
        """,
    },
    "torch.nn.modules.dropout": {
        "object": """
            AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout
        """,
    },
    "torch.nn.modules.flatten": {
        "object": """
            Flatten Unflatten
        """,
    },
    "torch.nn.modules.fold": {
        "object": """
            Fold Unfold
        """,
    },
    "torch.nn.modules.instancenorm": {
        "object": """
            InstanceNorm1d InstanceNorm2d InstanceNorm3d
        """,
    },
    "torch.nn.modules.linear": {
        "object": """
            Bilinear Identity Linear NonDynamicallyQuantizableLinear
        """,
    },
    "torch.nn.modules.loss": {
        "object": """
            BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss
            GaussianNLLLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss
            MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss
            MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss
            TripletMarginLoss TripletMarginWithDistanceLoss
        """,
    },
    "torch.nn.modules.module": {
        "object": """
            Module
        """,
    },
    "torch.nn.modules.normalization": {
        "object": """
            CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm
        """,
    },
    "torch.nn.modules.padding": {
        "object": """
            CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d
            ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
            ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d
        """,
    },
    "torch.nn.modules.pixelshuffle": {
        "object": """
            PixelShuffle PixelUnshuffle
        """,
    },
    "torch.nn.modules.pooling": {
        "object": """
            AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d
            AdaptiveMaxPool2d AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d
            FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxPool1d
            MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
        """,
    },
    "torch.nn.modules.rnn": {
        "object": """
            GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase
        """,
    },
    "torch.nn.modules.sparse": {
        "object": """
            Embedding EmbeddingBag
        """,
    },
    "torch.nn.modules.transformer": {
        "object": """
            Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder
            TransformerEncoderLayer
        """,
    },
    "torch.nn.modules.upsampling": {
        "object": """
            Upsample UpsamplingBilinear2d UpsamplingNearest2d
        """,
    },
    "torch.nn.utils.rnn": {
        "new(object,object,None,None)": """
            PackedSequence
        """,
    },
    "torch.serialization": {
        "call(str)": """
            _get_layout
        """,
    },
    "torch.storage": {
        "-": """
            UntypedStorage
        """,
    },
    "xgboost.core": {
        "object": """
            Booster
        """,
    },
    "xgboost.sklearn": {
        "object": """
            XGBClassifier XGBRFClassifier XGBRFRegressor XGBRanker XGBRegressor
        """,
    },
}

"""Uses that honest pickles make; written by examples/generate_allowlist.py, read by people.

Module → exact name → uses, in the alphabet of `symbols.kind_of`.
"""


def _uses(*uses: str) -> frozenset[str]:
    return frozenset(uses)


# May be referred to, not called.
_NAMED = _uses()
# Made by `cls.__new__(cls)`, then given its attributes.
_OBJECT = _uses("new()", "build(dict)")

ALLOWED: dict[str, dict[str, frozenset[str]]] = {
    "builtins": {
        "object": _NAMED,
    },
    "collections": {
        "Counter": _uses(
            "call(dict)",
        ),
        "OrderedDict": _uses(
            "call()",
            "setitem",
        ),
        "deque": _uses(
            "append",
            "call()",
            "call(tuple,int)",
        ),
    },
    "datetime": {
        "date": _uses(
            "call(bytes)",
            "call(object)",
        ),
        "datetime": _uses(
            "call(bytes)",
            "call(bytes,object)",
            "call(object)",
            "call(object,object)",
        ),
        "time": _uses(
            "call(bytes)",
            "call(object)",
        ),
        "timedelta": _uses(
            "call(int,int,int)",
        ),
        "timezone": _uses(
            "call(object)",
        ),
    },
    "decimal": {
        "Decimal": _uses(
            "call(str)",
        ),
    },
    "fractions": {
        "Fraction": _uses(
            "call(int,int)",
        ),
    },
    "joblib.numpy_pickle": {
        "NumpyArrayWrapper": _OBJECT,
    },
    "numpy._core.multiarray": {
        "_reconstruct": _uses(
            "build(tuple)",
            "call(@numpy.matrix,tuple,bytes)",
            "call(@numpy.matrix,tuple,object)",
            "call(@numpy.ndarray,tuple,bytes)",
            "call(@numpy.ndarray,tuple,object)",
            "call(@numpy.rec.recarray,tuple,bytes)",
            "call(@numpy.rec.recarray,tuple,object)",
        ),
        "scalar": _uses(
            "call(object,bytes)",
            "call(object,object)",
        ),
    },
    "numpy._core.numeric": {
        "_frombuffer": _uses(
            "call(bytearray,object,tuple,str)",
            "call(bytes,object,tuple,str)",
        ),
    },
    "numpy.ma.core": {
        "_mareconstruct": _uses(
            "build(tuple)",
            "call(@numpy.ma.MaskedArray,@numpy.ndarray,tuple,str)",
        ),
    },
    "numpy.ma": {
        "MaskedArray": _NAMED,
    },
    "numpy.random._mt19937": {
        "MT19937": _NAMED,
    },
    "numpy.random._pcg64": {
        "PCG64": _NAMED,
        "PCG64DXSM": _NAMED,
    },
    "numpy.random._philox": {
        "Philox": _NAMED,
    },
    "numpy.random._pickle": {
        "__bit_generator_ctor": _uses(
            "build(tuple)",
            "call(@numpy.random._mt19937.MT19937)",
            "call(@numpy.random._pcg64.PCG64)",
            "call(@numpy.random._pcg64.PCG64DXSM)",
            "call(@numpy.random._philox.Philox)",
            "call(@numpy.random._sfc64.SFC64)",
        ),
        "__generator_ctor": _uses(
            "call(object)",
        ),
        "__randomstate_ctor": _uses(
            "build(dict)",
            "call(object)",
        ),
    },
    "numpy.random._sfc64": {
        "SFC64": _NAMED,
    },
    "numpy.random.bit_generator": {
        "SeedSequence": _NAMED,
        "__pyx_unpickle_SeedSequence": _uses(
            "build(tuple)",
            "call(@numpy.random.bit_generator.SeedSequence,int,None)",
        ),
    },
    "numpy.rec": {
        "recarray": _NAMED,
    },
    "numpy": {
        "absolute": _NAMED,
        "add": _NAMED,
        "arccos": _NAMED,
        "arccosh": _NAMED,
        "arcsin": _NAMED,
        "arcsinh": _NAMED,
        "arctan": _NAMED,
        "arctan2": _NAMED,
        "arctanh": _NAMED,
        "bitwise_and": _NAMED,
        "bitwise_count": _NAMED,
        "bitwise_or": _NAMED,
        "bitwise_xor": _NAMED,
        "bool": _NAMED,
        "cbrt": _NAMED,
        "ceil": _NAMED,
        "clip": _NAMED,
        "conjugate": _NAMED,
        "copysign": _NAMED,
        "cos": _NAMED,
        "cosh": _NAMED,
        "deg2rad": _NAMED,
        "degrees": _NAMED,
        "divide": _NAMED,
        "divmod": _NAMED,
        "dtype": _uses(
            "build(tuple)",
            "call(@numpy.record,int,int)",
            "call(str,int,int)",
        ),
        "equal": _NAMED,
        "exp": _NAMED,
        "exp2": _NAMED,
        "expm1": _NAMED,
        "fabs": _NAMED,
        "float32": _NAMED,
        "float64": _NAMED,
        "float_power": _NAMED,
        "floor": _NAMED,
        "floor_divide": _NAMED,
        "fmax": _NAMED,
        "fmin": _NAMED,
        "fmod": _NAMED,
        "frexp": _NAMED,
        "gcd": _NAMED,
        "greater": _NAMED,
        "greater_equal": _NAMED,
        "heaviside": _NAMED,
        "hypot": _NAMED,
        "int32": _NAMED,
        "int64": _NAMED,
        "invert": _NAMED,
        "isfinite": _NAMED,
        "isinf": _NAMED,
        "isnan": _NAMED,
        "isnat": _NAMED,
        "lcm": _NAMED,
        "ldexp": _NAMED,
        "left_shift": _NAMED,
        "less": _NAMED,
        "less_equal": _NAMED,
        "log": _NAMED,
        "log10": _NAMED,
        "log1p": _NAMED,
        "log2": _NAMED,
        "logaddexp": _NAMED,
        "logaddexp2": _NAMED,
        "logical_and": _NAMED,
        "logical_not": _NAMED,
        "logical_or": _NAMED,
        "logical_xor": _NAMED,
        "matmul": _NAMED,
        "matrix": _NAMED,
        "matvec": _NAMED,
        "maximum": _NAMED,
        "mean": _NAMED,
        "minimum": _NAMED,
        "modf": _NAMED,
        "multiply": _NAMED,
        "ndarray": _NAMED,
        "negative": _NAMED,
        "nextafter": _NAMED,
        "not_equal": _NAMED,
        "object_": _NAMED,
        "positive": _NAMED,
        "power": _NAMED,
        "rad2deg": _NAMED,
        "radians": _NAMED,
        "reciprocal": _NAMED,
        "record": _NAMED,
        "remainder": _NAMED,
        "right_shift": _NAMED,
        "rint": _NAMED,
        "sign": _NAMED,
        "signbit": _NAMED,
        "sin": _NAMED,
        "sinh": _NAMED,
        "spacing": _NAMED,
        "sqrt": _NAMED,
        "square": _NAMED,
        "subtract": _NAMED,
        "tan": _NAMED,
        "tanh": _NAMED,
        "trunc": _NAMED,
        "vecdot": _NAMED,
        "vecmat": _NAMED,
        "vectorize": _OBJECT,
    },
    "pandas._libs.arrays": {
        "__pyx_unpickle_NDArrayBacked": _uses(
            "build(tuple)",
            "call(@pandas.Categorical,int,None)",
            "call(@pandas.arrays.DatetimeArray,int,None)",
            "call(@pandas.arrays.PeriodArray,int,None)",
            "call(@pandas.arrays.TimedeltaArray,int,None)",
        ),
    },
    "pandas._libs.internals": {
        "_unpickle_block": _uses(
            "call(object,object,int)",
        ),
    },
    "pandas._libs.interval": {
        "__pyx_unpickle_IntervalMixin": _uses(
            "build(tuple)",
            "call(@pandas.arrays.IntervalArray,int,None)",
        ),
    },
    "pandas._libs.sparse": {
        "IntIndex": _uses(
            "call(int,object)",
        ),
    },
    "pandas._libs.tslibs.nattype": {
        "_nat_unpickle": _uses(
            "call(None)",
        ),
    },
    "pandas._libs.tslibs.offsets": {
        "BusinessDay": _uses(
            "call(int,int,object)",
        ),
        "Day": _uses(
            "call(int,int)",
        ),
        "Hour": _uses(
            "call(int,int)",
        ),
        "Minute": _uses(
            "call(int,int)",
        ),
        "MonthEnd": _uses(
            "call(int,int)",
        ),
        "QuarterEnd": _uses(
            "call(int,int,int)",
        ),
        "Week": _uses(
            "call(int,int,int)",
        ),
        "YearEnd": _uses(
            "call(int,int,int)",
        ),
    },
    "pandas._libs.tslibs.timedeltas": {
        "_timedelta_unpickle": _uses(
            "call(int,int)",
        ),
    },
    "pandas._libs.tslibs.timestamps": {
        "_unpickle_timestamp": _uses(
            "call(int,None,None,int)",
            "call(int,None,object,int)",
        ),
    },
    "pandas.arrays": {
        "ArrowStringArray": _OBJECT,
        "BooleanArray": _OBJECT,
        "DatetimeArray": _NAMED,
        "FloatingArray": _OBJECT,
        "IntegerArray": _OBJECT,
        "IntervalArray": _NAMED,
        "PeriodArray": _NAMED,
        "SparseArray": _OBJECT,
        "TimedeltaArray": _NAMED,
    },
    "pandas.core.indexes.base": {
        "_new_Index": _uses(
            "call(@pandas.CategoricalIndex,dict)",
            "call(@pandas.Index,dict)",
            "call(@pandas.MultiIndex,dict)",
            "call(@pandas.PeriodIndex,dict)",
            "call(@pandas.RangeIndex,dict)",
        ),
    },
    "pandas.core.indexes.datetimes": {
        "_new_DatetimeIndex": _uses(
            "call(@pandas.DatetimeIndex,dict)",
        ),
    },
    "pandas.core.indexes.interval": {
        "_new_IntervalIndex": _uses(
            "call(@pandas.IntervalIndex,dict)",
        ),
    },
    "pandas.core.indexes.timedeltas": {
        "_new_TimedeltaIndex": _uses(
            "call(@pandas.TimedeltaIndex,dict)",
        ),
    },
    "pandas.core.internals.managers": {
        "BlockManager": _uses(
            "call(tuple,list)",
        ),
        "SingleBlockManager": _uses(
            "build(tuple)",
            "new()",
        ),
    },
    "pandas": {
        "BooleanDtype": _OBJECT,
        "Categorical": _NAMED,
        "CategoricalDtype": _OBJECT,
        "CategoricalIndex": _NAMED,
        "DataFrame": _OBJECT,
        "DatetimeIndex": _NAMED,
        "DatetimeTZDtype": _OBJECT,
        "Float64Dtype": _OBJECT,
        "Index": _NAMED,
        "Int64Dtype": _OBJECT,
        "Interval": _uses(
            "call(int,int,str)",
        ),
        "IntervalDtype": _OBJECT,
        "IntervalIndex": _NAMED,
        "MultiIndex": _NAMED,
        "NA": _NAMED,
        "Period": _uses(
            "call(None,object,int)",
        ),
        "PeriodDtype": _uses(
            "call(str)",
        ),
        "PeriodIndex": _NAMED,
        "RangeIndex": _NAMED,
        "Series": _OBJECT,
        "SparseDtype": _OBJECT,
        "StringDtype": _uses(
            "call(str,@pandas.NA)",
            "call(str,float)",
        ),
        "TimedeltaIndex": _NAMED,
    },
    "pyarrow.lib": {
        "_restore_array": _uses(
            "call(tuple)",
        ),
        "py_buffer": _uses(
            "call(bytearray)",
            "call(object)",
        ),
        "type_for_alias": _uses(
            "call(str)",
        ),
    },
    "scipy._lib.array_api_compat.numpy._aliases": {
        "asarray": _NAMED,
    },
    "scipy.interpolate._bsplines": {
        "BSpline": _OBJECT,
    },
    "scipy.sparse._bsr": {
        "bsr_array": _OBJECT,
        "bsr_matrix": _OBJECT,
    },
    "scipy.sparse._coo": {
        "coo_array": _OBJECT,
        "coo_matrix": _OBJECT,
    },
    "scipy.sparse._csc": {
        "csc_array": _OBJECT,
        "csc_matrix": _OBJECT,
    },
    "scipy.sparse._csr": {
        "csr_array": _OBJECT,
        "csr_matrix": _OBJECT,
    },
    "scipy.sparse._dia": {
        "dia_array": _OBJECT,
        "dia_matrix": _OBJECT,
    },
    "scipy.sparse._dok": {
        "dok_array": _OBJECT,
        "dok_matrix": _OBJECT,
    },
    "scipy.sparse._lil": {
        "lil_array": _OBJECT,
        "lil_matrix": _OBJECT,
    },
    "scipy.stats._continuous_distns": {
        "beta_gen": _OBJECT,
        "expon_gen": _OBJECT,
        "norm_gen": _OBJECT,
        "reciprocal_gen": _OBJECT,
        "uniform_gen": _OBJECT,
    },
    "scipy.stats._discrete_distns": {
        "randint_gen": _OBJECT,
    },
    "scipy.stats._distn_infrastructure": {
        "rv_continuous_frozen": _OBJECT,
        "rv_discrete_frozen": _OBJECT,
    },
    "sklearn._loss._loss": {
        "CyHalfBinomialLoss": _uses(
            "call()",
        ),
        "CyHalfGammaLoss": _uses(
            "call()",
        ),
        "CyHalfPoissonLoss": _uses(
            "call()",
        ),
        "CyHalfSquaredError": _uses(
            "call()",
        ),
        "CyHalfTweedieLossIdentity": _uses(
            "call(float)",
        ),
        "CyHuberLoss": _uses(
            "call(float)",
        ),
    },
    "sklearn._loss.link": {
        "IdentityLink": _uses(
            "new()",
        ),
        "Interval": _OBJECT,
        "LogLink": _uses(
            "new()",
        ),
        "LogitLink": _uses(
            "new()",
        ),
    },
    "sklearn._loss.loss": {
        "HalfBinomialLoss": _OBJECT,
        "HalfGammaLoss": _OBJECT,
        "HalfPoissonLoss": _OBJECT,
        "HalfSquaredError": _OBJECT,
        "HalfTweedieLossIdentity": _OBJECT,
    },
    "sklearn.calibration": {
        "CalibratedClassifierCV": _OBJECT,
        "_CalibratedClassifier": _OBJECT,
        "_SigmoidCalibration": _OBJECT,
    },
    "sklearn.cluster._affinity_propagation": {
        "AffinityPropagation": _OBJECT,
    },
    "sklearn.cluster._agglomerative": {
        "AgglomerativeClustering": _OBJECT,
        "FeatureAgglomeration": _OBJECT,
    },
    "sklearn.cluster._bicluster": {
        "SpectralBiclustering": _OBJECT,
        "SpectralCoclustering": _OBJECT,
    },
    "sklearn.cluster._birch": {
        "Birch": _OBJECT,
        "_CFNode": _OBJECT,
        "_CFSubcluster": _OBJECT,
    },
    "sklearn.cluster._bisect_k_means": {
        "BisectingKMeans": _OBJECT,
        "_BisectingTree": _OBJECT,
    },
    "sklearn.cluster._dbscan": {
        "DBSCAN": _OBJECT,
    },
    "sklearn.cluster._hdbscan.hdbscan": {
        "HDBSCAN": _OBJECT,
    },
    "sklearn.cluster._kmeans": {
        "KMeans": _OBJECT,
        "MiniBatchKMeans": _OBJECT,
        "_kmeans_single_lloyd": _NAMED,
    },
    "sklearn.cluster._mean_shift": {
        "MeanShift": _OBJECT,
    },
    "sklearn.cluster._optics": {
        "OPTICS": _OBJECT,
    },
    "sklearn.cluster._spectral": {
        "SpectralClustering": _OBJECT,
    },
    "sklearn.compose._column_transformer": {
        "ColumnTransformer": _OBJECT,
    },
    "sklearn.compose._target": {
        "TransformedTargetRegressor": _OBJECT,
    },
    "sklearn.covariance._elliptic_envelope": {
        "EllipticEnvelope": _OBJECT,
    },
    "sklearn.covariance._empirical_covariance": {
        "EmpiricalCovariance": _OBJECT,
    },
    "sklearn.covariance._graph_lasso": {
        "GraphicalLasso": _OBJECT,
        "GraphicalLassoCV": _OBJECT,
    },
    "sklearn.covariance._robust_covariance": {
        "MinCovDet": _OBJECT,
    },
    "sklearn.covariance._shrunk_covariance": {
        "LedoitWolf": _OBJECT,
        "OAS": _OBJECT,
        "ShrunkCovariance": _OBJECT,
    },
    "sklearn.cross_decomposition._pls": {
        "CCA": _OBJECT,
        "PLSCanonical": _OBJECT,
        "PLSRegression": _OBJECT,
        "PLSSVD": _OBJECT,
    },
    "sklearn.decomposition._dict_learning": {
        "DictionaryLearning": _OBJECT,
        "MiniBatchDictionaryLearning": _OBJECT,
        "SparseCoder": _OBJECT,
    },
    "sklearn.decomposition._factor_analysis": {
        "FactorAnalysis": _OBJECT,
    },
    "sklearn.decomposition._fastica": {
        "FastICA": _OBJECT,
    },
    "sklearn.decomposition._incremental_pca": {
        "IncrementalPCA": _OBJECT,
    },
    "sklearn.decomposition._kernel_pca": {
        "KernelPCA": _OBJECT,
    },
    "sklearn.decomposition._lda": {
        "LatentDirichletAllocation": _OBJECT,
    },
    "sklearn.decomposition._nmf": {
        "MiniBatchNMF": _OBJECT,
        "NMF": _OBJECT,
    },
    "sklearn.decomposition._pca": {
        "PCA": _OBJECT,
    },
    "sklearn.decomposition._sparse_pca": {
        "MiniBatchSparsePCA": _OBJECT,
        "SparsePCA": _OBJECT,
    },
    "sklearn.decomposition._truncated_svd": {
        "TruncatedSVD": _OBJECT,
    },
    "sklearn.discriminant_analysis": {
        "LinearDiscriminantAnalysis": _OBJECT,
        "QuadraticDiscriminantAnalysis": _OBJECT,
    },
    "sklearn.dummy": {
        "DummyClassifier": _OBJECT,
        "DummyRegressor": _OBJECT,
    },
    "sklearn.ensemble._bagging": {
        "BaggingClassifier": _OBJECT,
        "BaggingRegressor": _OBJECT,
    },
    "sklearn.ensemble._forest": {
        "ExtraTreesClassifier": _OBJECT,
        "ExtraTreesRegressor": _OBJECT,
        "RandomForestClassifier": _OBJECT,
        "RandomForestRegressor": _OBJECT,
        "RandomTreesEmbedding": _OBJECT,
    },
    "sklearn.ensemble._gb": {
        "GradientBoostingClassifier": _OBJECT,
        "GradientBoostingRegressor": _OBJECT,
    },
    "sklearn.ensemble._hist_gradient_boosting.binning": {
        "_BinMapper": _OBJECT,
    },
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": {
        "HistGradientBoostingClassifier": _OBJECT,
        "HistGradientBoostingRegressor": _OBJECT,
    },
    "sklearn.ensemble._hist_gradient_boosting.predictor": {
        "TreePredictor": _OBJECT,
    },
    "sklearn.ensemble._iforest": {
        "IsolationForest": _OBJECT,
    },
    "sklearn.ensemble._stacking": {
        "StackingClassifier": _OBJECT,
        "StackingRegressor": _OBJECT,
    },
    "sklearn.ensemble._voting": {
        "VotingClassifier": _OBJECT,
        "VotingRegressor": _OBJECT,
    },
    "sklearn.ensemble._weight_boosting": {
        "AdaBoostClassifier": _OBJECT,
        "AdaBoostRegressor": _OBJECT,
    },
    "sklearn.feature_extraction._dict_vectorizer": {
        "DictVectorizer": _OBJECT,
    },
    "sklearn.feature_extraction._hash": {
        "FeatureHasher": _OBJECT,
    },
    "sklearn.feature_extraction.image": {
        "PatchExtractor": _OBJECT,
    },
    "sklearn.feature_extraction.text": {
        "CountVectorizer": _OBJECT,
        "HashingVectorizer": _OBJECT,
        "TfidfTransformer": _OBJECT,
        "TfidfVectorizer": _OBJECT,
    },
    "sklearn.feature_selection._from_model": {
        "SelectFromModel": _OBJECT,
    },
    "sklearn.feature_selection._rfe": {
        "RFE": _OBJECT,
        "RFECV": _OBJECT,
    },
    "sklearn.feature_selection._sequential": {
        "SequentialFeatureSelector": _OBJECT,
    },
    "sklearn.feature_selection._univariate_selection": {
        "GenericUnivariateSelect": _OBJECT,
        "SelectFdr": _OBJECT,
        "SelectFpr": _OBJECT,
        "SelectFwe": _OBJECT,
        "SelectKBest": _OBJECT,
        "SelectPercentile": _OBJECT,
        "f_classif": _NAMED,
    },
    "sklearn.feature_selection._variance_threshold": {
        "VarianceThreshold": _OBJECT,
    },
    "sklearn.gaussian_process._gpc": {
        "GaussianProcessClassifier": _OBJECT,
        "_BinaryGaussianProcessClassifierLaplace": _OBJECT,
    },
    "sklearn.gaussian_process._gpr": {
        "GaussianProcessRegressor": _OBJECT,
    },
    "sklearn.gaussian_process.kernels": {
        "CompoundKernel": _OBJECT,
        "ConstantKernel": _OBJECT,
        "DotProduct": _OBJECT,
        "ExpSineSquared": _OBJECT,
        "Exponentiation": _OBJECT,
        "Matern": _OBJECT,
        "PairwiseKernel": _OBJECT,
        "Product": _OBJECT,
        "RBF": _OBJECT,
        "RationalQuadratic": _OBJECT,
        "Sum": _OBJECT,
        "WhiteKernel": _OBJECT,
    },
    "sklearn.impute._base": {
        "MissingIndicator": _OBJECT,
        "SimpleImputer": _OBJECT,
    },
    "sklearn.impute._knn": {
        "KNNImputer": _OBJECT,
    },
    "sklearn.isotonic": {
        "IsotonicRegression": _OBJECT,
    },
    "sklearn.kernel_approximation": {
        "AdditiveChi2Sampler": _OBJECT,
        "Nystroem": _OBJECT,
        "PolynomialCountSketch": _OBJECT,
        "RBFSampler": _OBJECT,
        "SkewedChi2Sampler": _OBJECT,
    },
    "sklearn.kernel_ridge": {
        "KernelRidge": _OBJECT,
    },
    "sklearn.linear_model._base": {
        "LinearRegression": _OBJECT,
    },
    "sklearn.linear_model._bayes": {
        "ARDRegression": _OBJECT,
        "BayesianRidge": _OBJECT,
    },
    "sklearn.linear_model._coordinate_descent": {
        "ElasticNet": _OBJECT,
        "ElasticNetCV": _OBJECT,
        "Lasso": _OBJECT,
        "LassoCV": _OBJECT,
        "MultiTaskElasticNet": _OBJECT,
        "MultiTaskElasticNetCV": _OBJECT,
        "MultiTaskLasso": _OBJECT,
        "MultiTaskLassoCV": _OBJECT,
    },
    "sklearn.linear_model._glm.glm": {
        "GammaRegressor": _OBJECT,
        "PoissonRegressor": _OBJECT,
        "TweedieRegressor": _OBJECT,
    },
    "sklearn.linear_model._huber": {
        "HuberRegressor": _OBJECT,
    },
    "sklearn.linear_model._least_angle": {
        "Lars": _OBJECT,
        "LarsCV": _OBJECT,
        "LassoLars": _OBJECT,
        "LassoLarsCV": _OBJECT,
        "LassoLarsIC": _OBJECT,
    },
    "sklearn.linear_model._logistic": {
        "LogisticRegression": _OBJECT,
        "LogisticRegressionCV": _OBJECT,
    },
    "sklearn.linear_model._omp": {
        "OrthogonalMatchingPursuit": _OBJECT,
        "OrthogonalMatchingPursuitCV": _OBJECT,
    },
    "sklearn.linear_model._passive_aggressive": {
        "PassiveAggressiveClassifier": _OBJECT,
        "PassiveAggressiveRegressor": _OBJECT,
    },
    "sklearn.linear_model._perceptron": {
        "Perceptron": _OBJECT,
    },
    "sklearn.linear_model._quantile": {
        "QuantileRegressor": _OBJECT,
    },
    "sklearn.linear_model._ransac": {
        "RANSACRegressor": _OBJECT,
    },
    "sklearn.linear_model._ridge": {
        "Ridge": _OBJECT,
        "RidgeCV": _OBJECT,
        "RidgeClassifier": _OBJECT,
        "RidgeClassifierCV": _OBJECT,
    },
    "sklearn.linear_model._sgd_fast": {
        "EpsilonInsensitive": _uses(
            "call(float)",
        ),
        "Hinge": _uses(
            "call(float)",
        ),
        "ModifiedHuber": _uses(
            "call()",
        ),
        "SquaredEpsilonInsensitive": _uses(
            "call(float)",
        ),
        "SquaredHinge": _uses(
            "call(float)",
        ),
    },
    "sklearn.linear_model._stochastic_gradient": {
        "SGDClassifier": _OBJECT,
        "SGDOneClassSVM": _OBJECT,
        "SGDRegressor": _OBJECT,
    },
    "sklearn.linear_model._theil_sen": {
        "TheilSenRegressor": _OBJECT,
    },
    "sklearn.manifold._classical_mds": {
        "ClassicalMDS": _OBJECT,
    },
    "sklearn.manifold._isomap": {
        "Isomap": _OBJECT,
    },
    "sklearn.manifold._locally_linear": {
        "LocallyLinearEmbedding": _OBJECT,
    },
    "sklearn.manifold._mds": {
        "MDS": _OBJECT,
    },
    "sklearn.manifold._spectral_embedding": {
        "SpectralEmbedding": _OBJECT,
    },
    "sklearn.manifold._t_sne": {
        "TSNE": _OBJECT,
    },
    "sklearn.metrics._classification": {
        "accuracy_score": _NAMED,
        "balanced_accuracy_score": _NAMED,
        "brier_score_loss": _NAMED,
        "d2_brier_score": _NAMED,
        "d2_log_loss_score": _NAMED,
        "f1_score": _NAMED,
        "jaccard_score": _NAMED,
        "log_loss": _NAMED,
        "matthews_corrcoef": _NAMED,
        "precision_score": _NAMED,
        "recall_score": _NAMED,
    },
    "sklearn.metrics._dist_metrics": {
        "ChebyshevDistance64": _NAMED,
        "EuclideanDistance64": _NAMED,
        "HammingDistance64": _NAMED,
        "HaversineDistance64": _NAMED,
        "ManhattanDistance64": _NAMED,
        "newObj": _uses(
            "build(tuple)",
            "call(@sklearn.metrics._dist_metrics.ChebyshevDistance64)",
            "call(@sklearn.metrics._dist_metrics.EuclideanDistance64)",
            "call(@sklearn.metrics._dist_metrics.HammingDistance64)",
            "call(@sklearn.metrics._dist_metrics.HaversineDistance64)",
            "call(@sklearn.metrics._dist_metrics.ManhattanDistance64)",
        ),
    },
    "sklearn.metrics._ranking": {
        "average_precision_score": _NAMED,
        "roc_auc_score": _NAMED,
        "top_k_accuracy_score": _NAMED,
    },
    "sklearn.metrics._regression": {
        "d2_absolute_error_score": _NAMED,
        "explained_variance_score": _NAMED,
        "max_error": _NAMED,
        "mean_absolute_error": _NAMED,
        "mean_absolute_percentage_error": _NAMED,
        "mean_gamma_deviance": _NAMED,
        "mean_poisson_deviance": _NAMED,
        "mean_squared_error": _NAMED,
        "mean_squared_log_error": _NAMED,
        "median_absolute_error": _NAMED,
        "r2_score": _NAMED,
        "root_mean_squared_error": _NAMED,
        "root_mean_squared_log_error": _NAMED,
    },
    "sklearn.metrics._scorer": {
        "_CurveScorer": _OBJECT,
        "_PassthroughScorer": _OBJECT,
        "_Scorer": _OBJECT,
        "negative_likelihood_ratio": _NAMED,
        "positive_likelihood_ratio": _NAMED,
    },
    "sklearn.metrics.cluster._supervised": {
        "adjusted_mutual_info_score": _NAMED,
        "adjusted_rand_score": _NAMED,
        "completeness_score": _NAMED,
        "fowlkes_mallows_score": _NAMED,
        "homogeneity_score": _NAMED,
        "mutual_info_score": _NAMED,
        "normalized_mutual_info_score": _NAMED,
        "rand_score": _NAMED,
        "v_measure_score": _NAMED,
    },
    "sklearn.mixture._bayesian_mixture": {
        "BayesianGaussianMixture": _OBJECT,
    },
    "sklearn.mixture._gaussian_mixture": {
        "GaussianMixture": _OBJECT,
    },
    "sklearn.model_selection._classification_threshold": {
        "FixedThresholdClassifier": _OBJECT,
        "TunedThresholdClassifierCV": _OBJECT,
    },
    "sklearn.model_selection._search": {
        "GridSearchCV": _OBJECT,
        "RandomizedSearchCV": _OBJECT,
    },
    "sklearn.model_selection._search_successive_halving": {
        "HalvingGridSearchCV": _OBJECT,
        "HalvingRandomSearchCV": _OBJECT,
    },
    "sklearn.model_selection._split": {
        "GroupKFold": _OBJECT,
        "KFold": _OBJECT,
        "LeaveOneOut": _uses(
            "new()",
        ),
        "PredefinedSplit": _OBJECT,
        "RepeatedKFold": _OBJECT,
        "ShuffleSplit": _OBJECT,
        "StratifiedKFold": _OBJECT,
        "StratifiedShuffleSplit": _OBJECT,
        "TimeSeriesSplit": _OBJECT,
    },
    "sklearn.multiclass": {
        "OneVsOneClassifier": _OBJECT,
        "OneVsRestClassifier": _OBJECT,
        "OutputCodeClassifier": _OBJECT,
        "_ConstantPredictor": _OBJECT,
    },
    "sklearn.multioutput": {
        "ClassifierChain": _OBJECT,
        "MultiOutputClassifier": _OBJECT,
        "MultiOutputRegressor": _OBJECT,
        "RegressorChain": _OBJECT,
    },
    "sklearn.naive_bayes": {
        "BernoulliNB": _OBJECT,
        "CategoricalNB": _OBJECT,
        "ComplementNB": _OBJECT,
        "GaussianNB": _OBJECT,
        "MultinomialNB": _OBJECT,
    },
    "sklearn.neighbors._ball_tree": {
        "BallTree": _NAMED,
        "newObj": _uses(
            "build(tuple)",
            "call(@sklearn.neighbors._ball_tree.BallTree)",
        ),
    },
    "sklearn.neighbors._classification": {
        "KNeighborsClassifier": _OBJECT,
        "RadiusNeighborsClassifier": _OBJECT,
    },
    "sklearn.neighbors._graph": {
        "KNeighborsTransformer": _OBJECT,
        "RadiusNeighborsTransformer": _OBJECT,
    },
    "sklearn.neighbors._kd_tree": {
        "KDTree": _NAMED,
        "newObj": _uses(
            "build(tuple)",
            "call(@sklearn.neighbors._kd_tree.KDTree)",
        ),
    },
    "sklearn.neighbors._kde": {
        "KernelDensity": _OBJECT,
    },
    "sklearn.neighbors._lof": {
        "LocalOutlierFactor": _OBJECT,
    },
    "sklearn.neighbors._nca": {
        "NeighborhoodComponentsAnalysis": _OBJECT,
    },
    "sklearn.neighbors._nearest_centroid": {
        "NearestCentroid": _OBJECT,
    },
    "sklearn.neighbors._regression": {
        "KNeighborsRegressor": _OBJECT,
        "RadiusNeighborsRegressor": _OBJECT,
    },
    "sklearn.neighbors._unsupervised": {
        "NearestNeighbors": _OBJECT,
    },
    "sklearn.neural_network._multilayer_perceptron": {
        "MLPClassifier": _OBJECT,
        "MLPRegressor": _OBJECT,
    },
    "sklearn.neural_network._rbm": {
        "BernoulliRBM": _OBJECT,
    },
    "sklearn.neural_network._stochastic_optimizers": {
        "AdamOptimizer": _OBJECT,
    },
    "sklearn.pipeline": {
        "FeatureUnion": _OBJECT,
        "Pipeline": _OBJECT,
    },
    "sklearn.preprocessing._data": {
        "Binarizer": _OBJECT,
        "KernelCenterer": _OBJECT,
        "MaxAbsScaler": _OBJECT,
        "MinMaxScaler": _OBJECT,
        "Normalizer": _OBJECT,
        "PowerTransformer": _OBJECT,
        "QuantileTransformer": _OBJECT,
        "RobustScaler": _OBJECT,
        "StandardScaler": _OBJECT,
    },
    "sklearn.preprocessing._discretization": {
        "KBinsDiscretizer": _OBJECT,
    },
    "sklearn.preprocessing._encoders": {
        "OneHotEncoder": _OBJECT,
        "OrdinalEncoder": _OBJECT,
    },
    "sklearn.preprocessing._function_transformer": {
        "FunctionTransformer": _OBJECT,
    },
    "sklearn.preprocessing._label": {
        "LabelBinarizer": _OBJECT,
        "LabelEncoder": _OBJECT,
        "MultiLabelBinarizer": _OBJECT,
    },
    "sklearn.preprocessing._polynomial": {
        "PolynomialFeatures": _OBJECT,
        "SplineTransformer": _OBJECT,
    },
    "sklearn.preprocessing._target_encoder": {
        "TargetEncoder": _OBJECT,
    },
    "sklearn.random_projection": {
        "GaussianRandomProjection": _OBJECT,
        "SparseRandomProjection": _OBJECT,
    },
    "sklearn.semi_supervised._label_propagation": {
        "LabelPropagation": _OBJECT,
        "LabelSpreading": _OBJECT,
    },
    "sklearn.semi_supervised._self_training": {
        "SelfTrainingClassifier": _OBJECT,
    },
    "sklearn.svm._classes": {
        "LinearSVC": _OBJECT,
        "LinearSVR": _OBJECT,
        "NuSVC": _OBJECT,
        "NuSVR": _OBJECT,
        "OneClassSVM": _OBJECT,
        "SVC": _OBJECT,
        "SVR": _OBJECT,
    },
    "sklearn.tree._classes": {
        "DecisionTreeClassifier": _OBJECT,
        "DecisionTreeRegressor": _OBJECT,
        "ExtraTreeClassifier": _OBJECT,
        "ExtraTreeRegressor": _OBJECT,
    },
    "sklearn.tree._tree": {
        "Tree": _uses(
            "build(dict)",
            "call(int,object,int)",
        ),
    },
    "sklearn.utils._bunch": {
        "Bunch": _uses(
            "build(dict)",
            "new()",
            "setitem",
        ),
    },
    "sklearn.utils._metadata_requests": {
        "MetadataRequest": _OBJECT,
        "MethodMetadataRequest": _OBJECT,
    },
    "uuid": {
        "UUID": _OBJECT,
    },
}

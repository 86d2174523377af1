"""Names of Keras' own classes and functions that a model's configuration may hold.

Source: the public namespaces of Keras 3.15, and classes of Keras 2 that it still reads. Left out
are those that run code, load another model or call functions given to them.
"""

_CLASSES = """
AUC AWQConfig AWQDTypePolicy AbsMaxQuantizer Accuracy Activation ActivityRegularization Adadelta
Adafactor Adagrad Adam AdamW Adamax AdaptiveAveragePooling1D AdaptiveAveragePooling2D
AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization Bidirectional
BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy BinaryIoU CTC CategoricalAccuracy
CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy
CategoricalHinge CategoryEncoding CenterCrop Circle Concatenate ConcordanceCorrelation Constant
Constraint ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D
Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose
CosineDecay CosineDecayRestarts CosineSimilarity Cropping1D Cropping2D Cropping3D CutMix
DTypePolicy DTypePolicyMap Dense DepthwiseConv1D DepthwiseConv2D Dice Discretization Dot Dropout
ELU EinsumDense Embedding Equalization ExponentialDecay F1Score FBetaScore FalseNegatives
FalsePositives Flatten Float8QuantizationConfig FloatDTypePolicy Ftrl Functional GPTQConfig
GPTQDTypePolicy GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D
GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D GlorotNormal GlorotUniform GroupNormalization GroupQueryAttention
HashedCrossing Hashing HeNormal HeUniform Hinge Huber Identity IdentityInitializer Initializer
Input InputLayer InputSpec Int4DTypePolicy Int4QuantizationConfig Int8QuantizationConfig
IntegerLookup InverseTimeDecay IoU KLDivergence L1 L1L2 L2 LSTM LSTMCell Lamb LayerNormalization
LeakyReLU LearningRateSchedule LecunNormal LecunUniform Lion LogCosh LogCoshError Loss
LossScaleOptimizer Masking MaxNorm MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D
MaxPooling2D MaxPooling3D Maximum Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU
MeanMetricWrapper MeanSquaredError MeanSquaredLogarithmicError MelSpectrogram Metric MinMaxNorm
Minimum MixUp Model MultiHeadAttention MultiOptimizer Multiply Muon Nadam NonNeg Normalization
OneHotIoU OneHotMeanIoU Ones Optimizer OptimizerMap Orthogonal OrthogonalInitializer
OrthogonalRegularizer PReLU PearsonCorrelation Permute PiecewiseConstantDecay Pipeline Poisson
Policy PolynomialDecay Precision PrecisionAtRecall QuantizationConfig QuantizedDTypePolicy
QuantizedFloat8DTypePolicy Quantizer R2Score RMSNormalization RMSprop RNN RandAugment
RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue
RandomInvert RandomNormal RandomPerspective RandomPosterization RandomRotation RandomSaturation
RandomSharpness RandomShear RandomTranslation RandomUniform RandomZoom ReLU Recall
RecallAtPrecision Regularizer RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
RootMeanSquaredError SGD STFT STFTInitializer STFTSpectrogram ScheduleFreeAdamW SeedGenerator
SensitivityAtSpecificity SeparableConv1D SeparableConv2D SeparableConvolution1D
SeparableConvolution2D Sequential SimpleRNN SimpleRNNCell Softmax Solarization
SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpecificityAtSensitivity SpectralNormalization
SquaredHinge StackedRNNCells StringLookup Subtract Sum TextVectorization TimeDistributed
TopKCategoricalAccuracy TrueNegatives TruePositives TruncatedNormal Tversky UnitNorm
UnitNormalization UpSampling1D UpSampling2D UpSampling3D VarianceScaling Wrapper ZeroPadding1D
ZeroPadding2D ZeroPadding3D Zeros
"""

_FUNCTIONS = """
binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy
categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy
categorical_hinge celu circle concordance_correlation constant cosine_similarity ctc dice elu
exponential gelu glorot_normal glorot_uniform glu hard_shrink hard_sigmoid hard_silu hard_swish
hard_tanh he_normal he_uniform hinge huber identity kl_divergence l1 l1_l2 l2 leaky_relu
lecun_normal lecun_uniform linear log_cosh log_sigmoid log_softmax max_norm mean_absolute_error
mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error min_max_norm mish
non_neg ones orthogonal orthogonal_regularizer pearson_correlation poisson random_normal
random_uniform relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign
sparse_categorical_accuracy sparse_categorical_crossentropy sparse_plus sparse_sigmoid
sparse_top_k_categorical_accuracy sparsemax squared_hinge squareplus stft swish tanh tanh_shrink
threshold top_k_categorical_accuracy truncated_normal tversky unit_norm variance_scaling zeros
"""

# Operations of functional models, of `keras.src.ops`.
_OPERATIONS = """
Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle
Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition
Argsort Array ArraySplit Average AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd
BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo CDist
CTCDecode CTCLoss Cast CategoricalCrossentropy Cbrt Ceil Celu Cholesky CholeskyInverse Clip
Concatenate Conj Conjugate Conv ConvTranspose ConvertToTensor Copy Corrcoef Correlate Cos Cosh
CountNonzero CropImages Cross Cumprod Cumsum Deg2rad DepthToSpace DepthwiseConv Det Diag Diagflat
Diagonal Diff Digitize Divide DivideNoNan Dot DotProductAttention Dsplit Dstack Eig Eigh Einsum
ElasticTransform Elu EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims Expm1 ExtractPatches
ExtractSequences FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Fold Full
FullLike GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater GreaterEqual HSVToRGB HardShrink
HardSigmoid HardSilu HardTanh Heaviside Histogram Hsplit Hstack Hypot I0 IFFT2 IRFFT ISTFT Imag
InTopK Inner Inv IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal JVP Kron LayerNorm Lcm
Ldexp LeakyRelu LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax
Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp Lstsq
LuFactor MapCoordinates Matmul MatrixRank Max MaxPool Maximum Mean Median Meshgrid Min Minimum Mod
Moments Moveaxis MultiHot Multiply NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax
Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative
Nextafter Nonzero Norm Normalize NotEqual OneHot OnesLike Outer PSNR Pad PadImages Percentile
PerspectiveTransform Pinv Polar Power Prod Ptp Qr Quantile RFFT RGBToGrayscale RGBToHSV RMSNorm
Rad2deg Ravel Real Reciprocal Relu Relu6 Repeat Reshape Resize RightShift Roll Rot90 Round Rsqrt
SSIM STFT SVD ScaleAndTranslate Scatter ScatterUpdate SearchSorted SegmentMax SegmentMin
SegmentProd SegmentReduction SegmentSum Select Selu SeparableConv Sigmoid Sign Signbit Silu Sin
Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign Solve
SolveTriangular Sort SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax
Split Sqrt Square Squareplus Squeeze Stack Std StopGradient Subtract Sum Swapaxes Take
TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold Tile TopK Trace Transpose Trapezoid Tril
Triu TrueDivide Trunc Unfold Unique UnravelIndex Unstack Vander Var Vdot View ViewAsComplex
ViewAsReal Vsplit Vstack Where ZerosLike
"""

CLASSES = frozenset(_CLASSES.split())
FUNCTIONS = frozenset(_FUNCTIONS.split())
OPERATIONS = frozenset(_OPERATIONS.split())

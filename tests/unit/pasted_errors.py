# ruff: noqa: E501  (texts stay as they were pasted)
"""Error texts that people pasted, with the thread and the cap that explains each; and texts that no cap explains."""

from __future__ import annotations

TF = "https://github.com/tensorflow/tensorflow/issues/"
PT = "https://github.com/pytorch/pytorch/issues/"

PASTED: tuple[tuple[str, str, str], ...] = (
    (
        TF + "17147",
        "cuda-8.0-libraries",
        """ImportError: Traceback (most recent call last):
  File "/opt/conda/lib/python3.6/site-packages/tensorflow/python/pywrap_tensorflow.py", line 58, in <module>
    from tensorflow.python.pywrap_tensorflow_internal import *
  File "/opt/conda/lib/python3.6/imp.py", line 343, in load_dynamic
    return _load(spec)
ImportError: libcublas.so.8.0: cannot open shared object file: No such file or directory""",
    ),
    (
        TF + "19749",
        "cuda-9.0-libraries",
        """  File "/home/amartya/anaconda2/lib/python2.7/site-packages/tensorflow/python/pywrap_tensorflow_internal.py", line 24
    _mod = imp.load_module('_pywrap_tensorflow_internal', fp, pathname, description)
ImportError: libcublas.so.9.0: cannot open shared object file: No such file or directory""",
    ),
    (
        "https://github.com/fizyr/keras-retinanet/issues/753",
        "cuda-9.0-libraries",
        """    import keras
  File "/home/wrc/anaconda3/envs/tensorflow/lib/python3.6/site-packages/keras/backend/tensorflow_backend.py", line 5
    import tensorflow as tf
ImportError: libcublas.so.9.0: cannot open shared object file: No such file or directory

Failed to load the native TensorFlow runtime.""",
    ),
    (
        "https://github.com/idealo/image-super-resolution/issues/228",
        "h5py-tensorflow",
        """[/usr/local/lib/python3.7/dist-packages/tensorflow_core/python/keras/saving/hdf5_format.py] in load_weights(f, layers)
    649   \"\"\"
    650   if 'keras_version' in f.attrs:
--> 651     original_keras_version = f.attrs['keras_version'].decode('utf8')
    652   else:
    653     original_keras_version = '1'

AttributeError: 'str' object has no attribute 'decode'""",
    ),
    (
        "https://github.com/vascofazza/indoor-outdoor-image-classifier/issues/4",
        "h5py-keras",
        """> Traceback (most recent call last):
>   File "./src/predict.py", line 15, in predict
>     model.load_weights()
>   File "/Users/temp/opt/anaconda3/envs/base/lib/python3.7/site-packages/keras/engine/saving.py", line 1183, in load
> original_keras_version = f.attrs['keras_version'].decode('utf8')
> AttributeError: 'str' object has no attribute 'decode'""",
    ),
    (
        "https://github.com/sconlyshootery/FeatDepth/issues/68",
        "no-kernel-image",
        """NVIDIA GeForce RTX 3060 Laptop GPU with CUDA capability sm_86 is not compatible with the current PyTorch installation.
The current PyTorch install supports CUDA capabilities sm_37 sm_50 sm_60 sm_70.
Traceback (most recent call last):
  File "./infer.py", line 27, in transform
    im_tensor = im_tensor.permute(0, 3, 1, 2).contiguous()
RuntimeError: CUDA error: no kernel image is available for execution on the device
CUDA kernel errors might be asynchronously reported at some other API call,so the stacktrace below might be incorrect.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1.""",
    ),
    (
        "https://github.com/INK-USC/RE-Net/issues/77",
        "no-kernel-image",
        """  File "/home/sitiange/miniconda3/envs/renet/lib/python3.6/site-packages/torch/nn/modules/rnn.py", line 151, in flatten
    self.batch_first, bool(self.bidirectional))
RuntimeError: CUDA error: no kernel image is available for execution on the device""",
    ),
    (
        "https://github.com/rlcode/reinforcement-learning-kr/issues/34",
        "keras-thread-local",
        """Exception in thread Thread-6:
Traceback (most recent call last):
  File "/home/name/.local/lib/python3.5/site-packages/keras/engine/network.py", line 323, in __setattr__
    super(Network, self).__setattr__(name, value)
  File "/home/name/.local/lib/python3.5/site-packages/keras/engine/base_layer.py", line 1215, in __setattr__
    if not _DISABLE_TRACKING.value:
AttributeError: '_thread._local' object has no attribute 'value'""",
    ),
    (
        TF + "37606",
        "cudnn-version",
        """2020-07-02 18:49:12.161725: I tensorflow/stream_executor/platform/default/dso_loader.cc:44] Successfully opened dynamic library libcudnn.so.7
2020-07-02 18:49:18.254447: E tensorflow/stream_executor/cuda/cuda_dnn.cc:320] Loaded runtime CuDNN library: 7.5.0 but source was compiled with: 7.6.3.  CuDNN library major and minor version needs to match or have higher minor version in case of CuDNN 7.0 or later version.""",
    ),
    (
        "https://github.com/balancap/SSD-Tensorflow/issues/340",
        "cudnn-version",
        (
            "Loaded runtime CuDNN library: 7301 (compatibility version 7300) but source was compiled with 7003 (compatibility"
            " version 7000).  If using a binary install, upgrade your CuDNN library to match."
        ),
    ),
    (
        "https://github.com/ThoughtfulDev/EagleEye/issues/132",
        "opencv-libgl",
        """  File "/usr/local/lib/python3.6/dist-packages/cv2/__init__.py", line 152, in bootstrap
    native_module = importlib.import_module("cv2")
ImportError: libGL.so.1: cannot open shared object file: No such file or directory""",
    ),
    (
        "https://github.com/fisher60/friendo-bot/issues/68",
        "opencv-libgthread",
        "bot_1  | ImportError: libgthread-2.0.so.0: cannot open shared object file: No such file or directory",
    ),
    (
        "https://github.com/scale-lab/DRiLLS/issues/9",
        "tensorflow-avx",
        """F tensorflow/core/platform/cpu_feature_guard.cc:37] The TensorFlow library was compiled to use AVX instructions, but these aren't available on your machine.
Aborted (core dumped)""",
    ),
    (TF + "17411", "illegal-instruction", ">>> import tensorflow as tf\nIllegal instruction (core dumped)"),
    (
        TF + "28660",
        "glibc-version",
        (
            "ImportError: /lib64/libm.so.6: version `GLIBC_2.23' not found (required by /home/xsx/.conda/envs/tensorflow/lib/"
            "python3.7/site-packages/tensorflow/python/_pywrap_tensorflow_internal.so)"
        ),
    ),
    (
        PT + "73520",
        "torch-thc",
        """horovod/torch/cuda_util.cc:21:10: fatal error: THC/THC.h: No such file or directory
   21 | #include <THC/THC.h>
      |          ^~~~~~~~~~~
compilation terminated.""",
    ),
    (
        PT + "66759",
        "torch-thc",
        "model/csrc/cuda/ROIAlign_cuda.cu:7:10: fatal error: THC/THCDeviceUtils.cuh: No such file or directory",
    ),
    (
        "https://github.com/huanglianghua/siamfc-pytorch/issues/16",
        "torch-num-batches-tracked",
        r"""  File "D:\anaconda3\lib\site-packages\torch\nn\modules\module.py", line 721, in load_state_dict
    self.__class__.__name__, "\n\t".join(error_msgs)))
RuntimeError: Error(s) in loading state_dict for SiamFC:
        Unexpected key(s) in state_dict: "feature.1.num_batches_tracked", "feature.5.num_batches_tracked".""",
    ),
    (
        "https://github.com/starimeL/PytorchConverter/issues/34",
        "torch-num-batches-tracked",
        """KeyError: 'unexpected key "enc_2.bn.num_batches_tracked" in state_dict'""",
    ),
    (
        "https://github.com/schulter/EMOGI/issues/9",
        "pip-no-version",
        (
            "ERROR: Could not find a version that satisfies the requirement tensorflow==1.15.3 (from versions: 2.5.0, 2.5.1,"
            " 2.5.2)\nERROR: No matching distribution found for tensorflow==1.15.3"
        ),
    ),
    (
        TF + "41054",
        "pip-no-version",
        (
            "  Could not find a version that satisfies the requirement tensorflow-gpu==1.15.0 (from versions: 0.12.1, 1.0.0)"
            "\nNo matching distribution found for tensorflow-gpu==1.15.0"
        ),
    ),
    (
        "https://github.com/googlecreativelab/teachablemachine-community/issues/163",
        "keras-functional",
        """File "/usr/local/lib/python3.6/dist-packages/tensorflow/python/keras/utils/generic_utils.py", line 321, in class_and
    raise ValueError('Unknown ' + printable_module_name + ': ' + class_name)
ValueError: Unknown layer: Functional""",
    ),
    (
        "https://github.com/open-mmlab/mmdetection/issues/3636",
        "torch-file-version",
        (
            "RuntimeError: version_ <= kMaxSupportedFileFormatVersion INTERNAL ASSERT FAILED at /pytorch/caffe2/serialize/"
            "inline_container.cc:132, please report a bug to PyTorch. Attempted to read a PyTorch file with version 3, but the"
            " maximum supported version for reading is 2. Your PyTorch installation may be too old."
        ),
    ),
    (
        "https://github.com/conda-forge/pytorch-cpu-feedstock/issues/350",
        "executable-stack",
        "ImportError: libtorch_cpu.so: cannot enable executable stack as shared object requires: Invalid argument",
    ),
    (
        "https://github.com/ibarrond/Pyfhel/issues/103",
        "numpy-api-version",
        """  File "__init__.pxd", line 882, in numpy.import_array
RuntimeError: module compiled against API version 0xe but this version of numpy is 0xd

During handling of the above exception, another exception occurred:

  File "__init__.pxd", line 884, in numpy.import_array
ImportError: numpy.core.multiarray failed to import""",
    ),
    (
        "https://github.com/CMU-Perceptual-Computing-Lab/openpose/issues/2053",
        "nvcc-architecture",
        """[  6%] Building NVCC (Device) object src/caffe/CMakeFiles/cuda_compile_1.dir/layers/batch_norm_layer.cu.o
nvcc fatal   : Unsupported gpu architecture 'compute_86'""",
    ),
    (
        "https://github.com/google-research/bert/issues/285",
        "cuda-driver",
        (
            "tensorflow.python.framework.errors_impl.InternalError: cudaGetDevice() failed. Status: CUDA driver version is"
            " insufficient for CUDA runtime version"
        ),
    ),
    (
        "https://github.com/tensorflow/models/issues/7088",
        "cudnn-handle",
        """2019-06-23 19:34:30.142558: E tensorflow/stream_executor/cuda/cuda_dnn.cc:329] Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR
tensorflow.python.framework.errors_impl.UnknownError: 2 root error(s) found.
  (0) Unknown: Failed to get convolution algorithm. This is probably because cuDNN failed to initialize, so try looking to see if a warning log message was printed above.
      [[{{node MobilenetV2/Conv/Conv2D}}]]""",
    ),
    (
        "https://github.com/NVIDIA/ContrastiveLosses4VRD/issues/30",
        "torch-ffi",
        """  File "/home/ubuntu/anaconda3/envs/xx/lib/python3.5/site-packages/torch/utils/ffi/__init__.py", line 1, in <module>
    raise ImportError("torch.utils.ffi is deprecated. Please use cpp extensions instead.")
ImportError: torch.utils.ffi is deprecated. Please use cpp extensions instead.""",
    ),
    (
        "https://github.com/foolwood/pytorch-slimming/issues/12",
        "torch-0-dim",
        """    100. * batch_idx / len(train_loader), loss.data[0]))
IndexError: invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number""",
    ),
    (
        TF + "20690",
        "tensorflow-async",
        """  File "/usr/local/lib/python3.7/site-packages/tensorflow/python/pywrap_tensorflow_internal.py", line 114
    def TFE_ContextOptionsSetAsync(arg1, async):_
                                             ^
SyntaxError: invalid syntax""",
    ),
    (
        "https://github.com/Theano/Theano/issues/5997",
        "theano-old-backend",
        (
            "ValueError: You are tring to use the old GPU back-end. It was removed from Theano. Use device=cuda* now. See"
            " https://github.com/Theano/Theano/wiki/Converting-to-the-new-gpu-back-end%28gpuarray%29 for more information."
        ),
    ),
    (
        "https://github.com/adri-romsor/FitNets/issues/3",
        "theano-old-backend",
        (
            "unittest.case.SkipTest: You are importing theano.sandbox.cuda. This is the old GPU back-end and is removed from"
            " Theano. Use Theano 0.9 to use it. Even better, transition to the new GPU back-end!"
        ),
    ),
    (
        "https://github.com/ray-project/ray/issues/20087",
        "gym-roms",
        """(RolloutWorker pid=1287)   File "/home/ray/anaconda3/lib/python3.7/site-packages/gym/envs/atari/environment.py", line 172
(RolloutWorker pid=1287) gym.error.Error: We're Unable to find the game "Pong". Note: Gym no longer distributes ROMs. If you own a license""",
    ),
    (
        "https://github.com/MITDeepLearning/introtodeeplearning/issues/103",
        "gym-roms",
        "Exception: ROM is missing for pong, see https://github.com/openai/atari-py#roms for instructions",
    ),
    (
        "https://github.com/pypa/pip/issues/9500",
        "pip-python2",
        """    from pip._internal.cli.main import main as pip_entry_point
  File "/tmp/tmpn1iu0Q/pip.zip/pip/_internal/cli/main.py", line 60
    sys.stderr.write(f"ERROR: {exc}")
                                   ^
SyntaxError: invalid syntax""",
    ),
    (
        "https://github.com/NVIDIA/nvidia-container-toolkit/issues/258",
        "nvidia-apt-key",
        (
            "W: GPG error: https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2004/x86_64  InRelease: The following"
            " signatures couldn't be verified because the public key is not available: NO_PUBKEY A4B469963BF863CC"
        ),
    ),
    (
        "https://github.com/amdegroot/ssd.pytorch/issues/554",
        "torch-legacy-autograd",
        """/home/dnaplus/Downloads/ssd.pytorch/ssd.py:34: UserWarning: volatile was removed and now has no effect. Use `with torch.no_grad():` instead.
  self.priors = Variable(self.priorbox.forward(), volatile=True)
Finished loading model!
  File "/home/dnaplus/.local/lib/python3.6/site-packages/torch/autograd/function.py", line 160, in __call__
    "Legacy autograd function with non-static forward method is deprecated. "
RuntimeError: Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)""",
    ),
    (
        "https://github.com/hila-chefer/Transformer-Explainability/issues/19",
        "torch-six-abcs",
        "ImportError: cannot import name 'container_abcs' from 'torch._six' (/opt/conda/lib/python3.8/site-packages/torch/_six.py)",
    ),
    (
        "https://github.com/Tencent-Hunyuan/Hunyuan3D-2.1/issues/74",
        "torchvision-functional-tensor",
        """File "/home/szxie/storage/miniconda3/envs/hunyuan/lib/python3.10/site-packages/basicsr/data/degradations.py", line 8
    from torchvision.transforms.functional_tensor import rgb_to_grayscale
ModuleNotFoundError: No module named 'torchvision.transforms.functional_tensor'""",
    ),
    (
        "https://github.com/1adrianb/face-alignment/issues/9",
        "static-tls",
        """  File "/usr/local/lib/python2.7/dist-packages/torch/__init__.py", line 53, in <module>
    from torch._C import *
ImportError: dlopen: cannot load any more object with static TLS""",
    ),
    (
        "https://github.com/h5py/h5py/issues/1066",
        "h5py-locked",
        "OSError: Unable to create file (unable to lock file, errno = 11, error message = 'Resource temporarily unavailable')",
    ),
    (
        TF + "20787",
        "pip-wheel-platform",
        "tensorflow-1.9.0-cp36-cp36m-win_amd64.whl is not a supported wheel on this platform.",
    ),
    (
        "https://github.com/pypa/pip/issues/4960",
        "pip-no-ssl",
        (
            "pip is configured with locations that require TLS/SSL, however the ssl module in Python is not available.\n"
            "Collecting ssl"
        ),
    ),
    (
        PT + "150998",
        "torch-weights-only",
        """  File "/home/kojoe/.local/lib/python3.10/site-packages/torch/serialization.py", line 1548, in load
    raise pickle.UnpicklingError(_get_wo_message(str(e))) from None
_pickle.UnpicklingError: Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` from `False` to `True`.""",
    ),
    (
        "https://github.com/yoraish/mmd/issues/3",
        "mkl-ijit",
        (
            "ImportError: /home/ltl/anaconda3/envs/mmd/lib/python3.8/site-packages/torch/lib/libtorch_cpu.so: undefined symbol:"
            " iJIT_NotifyEvent"
        ),
    ),
    (
        "https://github.com/mateuszbuda/brain-segmentation-pytorch/issues/47",
        "cuda-image-gone",
        "manifest for nvidia/cuda:10.0-cudnn7-devel-ubuntu18.04 not found: manifest unknown: manifest unknown",
    ),
    (
        "https://github.com/open-mmlab/OpenPCDet/issues/1410",
        "cuda-image-gone",
        (
            "ERROR: failed to solve: nvidia/cuda:10.2-cudnn7-devel-ubuntu18.04: docker.io/nvidia/cuda:10.2-cudnn7-devel-"
            "ubuntu18.04: not found"
        ),
    ),
    (
        "https://github.com/facebookarchive/caffe2/issues/442",
        "nvcc-gcc",
        (
            "/usr/local/cuda-8.0/include/host_config.h:119:2: error: #error -- unsupported GNU version! gcc versions later than"
            " 5 are not supported!"
        ),
    ),
    (
        "https://github.com/zh217/torch-dct/issues/26",
        "torch-rfft",
        """  File "/usr/local/lib/python3.8/dist-packages/torch_dct/_dct.py", line 48, in dct
    Vc = torch.rfft(v, 1, onesided=False)
AttributeError: module 'torch' has no attribute 'rfft'""",
    ),
    (
        "https://github.com/NVIDIA/nvidia-docker/issues/1352",
        "docker-gpu",
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
    ),
    (
        PT + "1171",
        "torch-cudnn-status",
        "    return f(input, weight, bias)\nRuntimeError: CUDNN_STATUS_NOT_INITIALIZED",
    ),
    (
        PT + "17543",
        "torch-cudnn-status",
        """>   File "/data/pytorch/lib/python3.6/site-packages/torch/nn/modules/rnn.py", line 113, in flatten_parameters
>     self.batch_first, bool(self.bidirectional))
> RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED""",
    ),
    (
        "https://github.com/pandas-dev/pandas/issues/27543",
        "python-incomplete",
        """  File "/usr/local/lib/python3.6/lzma.py", line 27, in <module>
    from _lzma import *
ModuleNotFoundError: No module named '_lzma'""",
    ),
    (
        "https://github.com/opencv/opencv-python/issues/126",
        "opencv-xfeatures2d",
        (
            "cv2.error: OpenCV(3.4.3) /io/opencv_contrib/modules/xfeatures2d/src/sift.cpp:1207: error: (-213:The function/feature"
            " is not implemented) This algorithm is patented and is excluded in this configuration; Set OPENCV_ENABLE_NONFREE"
        ),
    ),
    (
        "https://github.com/PowerDNS-Admin/PowerDNS-Admin/issues/1665",
        "pyyaml-cython3",
        "        raise AttributeError(attr)\n      AttributeError: cython_sources",
    ),
    (
        "https://github.com/microsoft/onnxruntime/issues/20589",
        "onnxruntime-windows",
        """provider_bridge_ort.cc:1193 onnxruntime::ProviderLibrary::Get [ONNXRuntimeError] : 1 : FAIL : LoadLibrary failed
with error 126 "" when trying to load "D:\\Projects\\win-x64\\native\\onnxruntime_providers_cuda.dll""",
    ),
)
"""(thread, cap id, text): the cap must be found first."""

UNRELATED: tuple[str, ...] = (
    'Traceback (most recent call last):\n  File "app.py", line 3, in <module>\n    main()\nZeroDivisionError: division by zero',
    "KeyError: 'user_id'",
    "AttributeError: 'NoneType' object has no attribute 'shape'",
    "ModuleNotFoundError: No module named 'mypackage.utils'",
    "ImportError: cannot import name 'helper' from 'mypackage' (/srv/app/mypackage/__init__.py)",
    "SyntaxError: invalid syntax",
    '  File "train.py", line 10\n    if x = 3:\n         ^\nSyntaxError: invalid syntax',
    "TypeError: forward() takes 2 positional arguments but 3 were given",
    (
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total capacity; 6.11 GiB already"
        " allocated)"
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: 'data/train.csv'",
    "ValueError: operands could not be broadcast together with shapes (3,) (4,)",
    "RuntimeError: size mismatch, m1: [64 x 512], m2: [1024 x 10] at /pytorch/aten/src/TH/generic/THTensorMath.cpp:197",
    "django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.",
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='localhost', port=8080): Max retries exceeded",
    "java.lang.NullPointerException\n\tat com.example.Main.main(Main.java:14)",
    "error[E0382]: borrow of moved value: `x`\n --> src/main.rs:4:20",
    "Segmentation fault (core dumped)",
    "AttributeError: module 'numpy' has no attribute 'arange2'",
    "AssertionError",
    "IndentationError: unexpected indent",
)
"""Texts of faults of a person's own: nothing may be found."""

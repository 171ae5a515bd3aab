{
  'targets': [{
    'target_name': 'tcptop',
    'sources': ['binding.cc'],
    'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
    'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
    'cflags_cc': ['-std=c++17', '-O2', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-Wall', '-Wextra'],
    # One binary for glibc and musl: nothing of libstdc++ is used, so nothing of it is linked.
    'ldflags': ['-Wl,--as-needed', '-static-libgcc', '-Wl,--gc-sections', '-s'],
  }],
}

{
  'targets': [{
    'target_name': 'tcptop',
    'sources': ['binding.cc'],
    # A package brings the headers, and installs nothing.
    'include_dirs': ["<!(node -p \"try { require('node-addon-api').include_dir } catch { 'include' }\")"],
    'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
    # Inlined as -O2 has it, napi.h makes it twice the size; -Os would take libstdc++.
    'cflags_cc': ['-std=c++17', '-O2', '--param=max-inline-insns-auto=4', '--param=max-inline-insns-single=30', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-U_FORTIFY_SOURCE', '-Wall', '-Wextra'],
    # One binary for glibc and musl: nothing of libstdc++ is used, so nothing of it is linked, and musl has no checked memcpy.
    'ldflags': ['-Wl,--as-needed', '-static-libgcc', '-Wl,--gc-sections', '-Wl,-z,noseparate-code', '-s'],
    # Otherwise libgcc asks glibc, by a name that musl has not, which kind of atomic instructions the processor has.
    'conditions': [["target_arch=='arm64'", { 'cflags_cc': ['-mno-outline-atomics'] }]],
  }],
}

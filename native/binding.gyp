{
  # Functions of libcrypto that the engine brings itself; 0 leaves them out. See engine/libcrypto/README.md.
  "variables": {
    "libcrypto_aes%": 1,
    "libcrypto_prime_search%": 1,
    "keeper_static%": "<!(test -f $(${CXX:-c++} -print-file-name=libc.a) && echo 1 || echo 0)",
    # The engine has its own libstdc++, if there is one to be had: each would write to 24 pages of the shared one to link it.
    "engine_own_libstdcxx%": "<!(test -f $(${CXX:-c++} -print-file-name=libstdc++.a) && echo 1 || echo 0)"
  },
  "includes": ["defaults.gypi"],
  "targets": [
    {
      # N-API addon: what JavaScript cannot do itself (descriptor passing, locks, close-on-exec, prctl, chroot).
      "target_name": "swtpm_native",
      "sources": ["<!@(ls addon/*.cc)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NAPI_VERSION=8"],
      "ldflags": ["-Wl,-z,relro,-z,now"]
    },
    {
      # One TPM: libtpms, the command pump and the state store, in a process of its own.
      "target_name": "tpm-engine",
      "type": "executable",
      "sources": ["<!@(ls engine/*.cc engine/*/*.cc state/*.cc)"],
      "conditions": [
        ["libcrypto_aes==0", {"sources!": ["engine/libcrypto/aes_encrypt.cc"]}],
        ["libcrypto_prime_search==0", {"sources!": ["engine/libcrypto/prime_functions.cc"]}],
        ["engine_own_libstdcxx==1", {"ldflags": ["-static-libstdc++", "-static-libgcc"]}]
      ],
      "libraries": ["-ltpms", "-lcrypto", "-lseccomp"],
      "cflags": ["-fPIE", "-pthread"],
      "ldflags": ["-pie", "-pthread", "-Wl,-z,relro,-z,now"]
    },
    {
      # What lasts as long as a TPM: the parent of Node and of the engines. It does without the C++ library, and has its own
      # copy of the C library where there is one to link: together they would take twice the memory of the keeper itself.
      "target_name": "swtpm",
      "type": "executable",
      "sources": ["<!@(ls keeper/*.cc)"],
      "cflags": ["-fPIE", "-fno-asynchronous-unwind-tables"],
      "cflags_cc": ["-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
      "ldflags": ["-Wl,-z,relro,-z,now", "-Wl,--as-needed"],
      "conditions": [
        ["keeper_static==1", {"ldflags": ["-static-pie"]}, {"ldflags": ["-pie"]}]
      ]
    }
  ]
}

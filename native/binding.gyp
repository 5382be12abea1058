{
  # Functions of libcrypto that the engine brings itself; 0 leaves them out. See engine/libcrypto/README.md.
  "variables": {"libcrypto_aes%": 1, "libcrypto_prime_search%": 1},
  "target_defaults": {
    # Node's own flags come after ours, and the last standard named wins.
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-Wall", "-Wextra", "-O2"],
    "cflags": ["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    "include_dirs": ["."]
  },
  "targets": [
    {
      # N-API addon: what JavaScript cannot do itself (descriptor passing, locks, close-on-exec, prctl, chroot).
      "target_name": "swtpm_native",
      "sources": ["<!@(ls addon/*.cc)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NAPI_VERSION=8"]
    },
    {
      # One TPM: libtpms, the command pump and the state store, in a process of its own.
      "target_name": "tpm-engine",
      "type": "executable",
      "sources": ["<!@(ls engine/*.cc engine/*/*.cc state/*.cc)"],
      "conditions": [
        ["libcrypto_aes==0", {"sources!": ["engine/libcrypto/aes_encrypt.cc"]}],
        ["libcrypto_prime_search==0", {"sources!": ["engine/libcrypto/prime_functions.cc"]}]
      ],
      "libraries": ["-ltpms", "-lcrypto", "-lseccomp"],
      "cflags": ["-fPIE", "-pthread"],
      "ldflags": ["-pie", "-pthread", "-Wl,-z,relro,-z,now"]
    },
    # What `npm run bench` measures with; never installed.
    {
      "target_name": "bench-client",
      "type": "executable",
      "sources": ["bench/client.cc", "bench/exchange.cc", "bench/direct_exchange.cc"],
      "libraries": ["-ltpms"]
    },
    {
      "target_name": "bench-server",
      "type": "executable",
      "sources": ["bench/server.cc", "bench/exchange.cc", "bench/direct_exchange.cc"],
      "libraries": ["-ltpms"]
    },
    {
      "target_name": "bench-start",
      "type": "executable",
      "sources": ["bench/start.cc"]
    },
    {
      "target_name": "heap-counter",
      "type": "shared_library",
      "sources": ["bench/heap_counter.cc"],
      "cflags": ["-fPIC"],
      # Not in a folder of its own, where gyp puts libraries by default.
      "product_dir": "<(PRODUCT_DIR)"
    }
  ]
}

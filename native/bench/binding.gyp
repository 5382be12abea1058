{
  # What `npm run bench` and the tests of bench measure with. Built by itself, so that a user need not compile it.
  "includes": ["../defaults.gypi"],
  "targets": [
    {
      "target_name": "bench-client",
      "type": "executable",
      "sources": ["client.cc", "exchange.cc", "direct_exchange.cc"],
      "libraries": ["-ltpms"]
    },
    {
      "target_name": "bench-server",
      "type": "executable",
      "sources": ["server.cc", "exchange.cc", "direct_exchange.cc"],
      "libraries": ["-ltpms"]
    },
    {
      "target_name": "bench-start",
      "type": "executable",
      "sources": ["start.cc"]
    },
    {
      "target_name": "heap-counter",
      "type": "shared_library",
      "sources": ["heap_counter.cc"],
      "cflags": ["-fPIC"],
      # Not in a folder of its own, where gyp puts libraries by default.
      "product_dir": "<(PRODUCT_DIR)"
    }
  ]
}

{
  # How everything here is compiled.
  "target_defaults": {
    # Node's own flags come after ours, and the last standard named wins.
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["-std=c++20", "-Wall", "-Wextra", "-O2"],
    "cflags": ["-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    "include_dirs": ["."]
  }
}

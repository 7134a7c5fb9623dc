# For builds by node-gyp: those of Electron's rebuild tools, and of distributions. shim/compile.mjs has the same options.
{
  "conditions": [
    ["OS=='linux'", {
      "targets": [{
        "target_name": "vfio_shim",
        "sources": ["shim/vfio_shim.cc"],
        "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
        "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
        "cflags_cc": ["-std=c++17", "-O2", "-fno-exceptions", "-Wall", "-Wextra"]
      }]
    }, {
      "targets": [{ "target_name": "vfio_shim", "type": "none" }]
    }]
  ]
}

# The build file picks the platform: another system is another list here, not an #ifdef there.
{
  "targets": [
    {
      "target_name": "memmap",
      "sources": [
        "core/fault.c",
        "core/process.c",
        "core/range.c",
        "core/range_map.c",
        "core/region.c",
        "core/registry.c",
        "core/resize.c",
        "core/work.c",
        "platform/linux/file.c",
        "platform/linux/memory.c",
        "platform/linux/signal.c",
        "platform/linux/thread.c",
        "binding/arguments.c",
        "binding/buffer.c",
        "binding/fault.c",
        "binding/handle.c",
        "binding/module.c",
        "binding/range.c",
        "binding/work.c",
      ],
      "include_dirs": [".", "include"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "cflags_c": ["-std=gnu11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow"],
      "ldflags": ["-Wl,-z,nodelete"],
    },
  ],
}

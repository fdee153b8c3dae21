find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(uring REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd>=1.4)
find_path(ACTABLE_XXHASH_INCLUDE xxhash.h REQUIRED)
find_path(ACTABLE_MSGPACK_INCLUDE msgpack.hpp REQUIRED)
# For the actors only; below concurrentqueue/ or concurrentqueue/moodycamel/, by its version.
set(ACTABLE_CONCURRENTQUEUE concurrentqueue.h PATH_SUFFIXES concurrentqueue/moodycamel concurrentqueue)

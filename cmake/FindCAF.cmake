# Finds CAF 0.17, which brings no package file of its own on Debian and Ubuntu,
# and makes the targets CAF::core and, for its network, CAF::io and CAF::openssl.
# Installed too: who links actable::actors needs it.
#
#   CAF_FOUND, CAF_VERSION

find_path(CAF_INCLUDE_DIR caf/config.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
find_library(CAF_IO_LIBRARY caf_io)
find_library(CAF_OPENSSL_LIBRARY caf_openssl)
# Of a package that CAF's does not bring: its headers of TLS include them.
find_path(CAF_OPENSSL_INCLUDE_DIR openssl/ssl.h)
mark_as_advanced(CAF_INCLUDE_DIR CAF_OPENSSL_INCLUDE_DIR CAF_CORE_LIBRARY CAF_IO_LIBRARY CAF_OPENSSL_LIBRARY)

unset(CAF_VERSION)
if(CAF_INCLUDE_DIR)
  # Up to 0.17 the number, 1706 for 0.17.6, is in config.hpp; later versions
  # have it in another file, which says to us that they are later.
  file(STRINGS ${CAF_INCLUDE_DIR}/caf/config.hpp line REGEX "^#define CAF_VERSION +[0-9]+" LIMIT_COUNT 1)
  if(line)
    string(REGEX REPLACE "^#define CAF_VERSION +([0-9]+).*" "\\1" number "${line}")
    math(EXPR major "${number} / 10000")
    math(EXPR minor "${number} / 100 % 100")
    math(EXPR patch "${number} % 100")
    set(CAF_VERSION ${major}.${minor}.${patch})
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF
  REQUIRED_VARS CAF_CORE_LIBRARY CAF_IO_LIBRARY CAF_OPENSSL_LIBRARY CAF_INCLUDE_DIR CAF_OPENSSL_INCLUDE_DIR CAF_VERSION
  VERSION_VAR CAF_VERSION HANDLE_VERSION_RANGE)

if(CAF_FOUND AND NOT TARGET CAF::core)
  find_package(Threads REQUIRED)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES
    IMPORTED_LOCATION ${CAF_CORE_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  add_library(CAF::io UNKNOWN IMPORTED)
  set_target_properties(CAF::io PROPERTIES
    IMPORTED_LOCATION ${CAF_IO_LIBRARY}
    INTERFACE_LINK_LIBRARIES CAF::core)
  add_library(CAF::openssl UNKNOWN IMPORTED)
  set_target_properties(CAF::openssl PROPERTIES
    IMPORTED_LOCATION ${CAF_OPENSSL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${CAF_OPENSSL_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES CAF::io)
endif()

# What `cmake --install` gives: the public headers, the static libraries of the
# floors, a package for find_package(actable), and actable.pc; the actors, where
# they are built, as a component of it with a .pc of its own. Included after
# the floors, in either case: a project that adds Actable as a subdirectory
# links actable::actable too.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

add_library(actable INTERFACE)
add_library(actable::actable ALIAS actable)
target_link_libraries(actable INTERFACE actable::store)

option(ACTABLE_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT ACTABLE_INSTALL)
  return()
endif()

get_property(floors GLOBAL PROPERTY ACTABLE_FLOORS)
set(floor_targets ${floors})
list(TRANSFORM floor_targets PREPEND actable_)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/actable)

set_target_properties(actable_headers PROPERTIES EXPORT_NAME headers)
get_property(components GLOBAL PROPERTY ACTABLE_COMPONENTS)
set(headers_left_out)
if(NOT ACTABLE_ACTORS)
  set(headers_left_out REGEX "/(actors|network|wire)\\.h$" EXCLUDE)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/actable DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" ${headers_left_out})
install(TARGETS actable actable_headers ${floor_targets} EXPORT actable ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT actable NAMESPACE actable:: FILE actableTargets.cmake DESTINATION ${package_dir})
# A file for each: who does not ask for a component needs nothing that it needs.
foreach(component IN LISTS components)
  install(TARGETS actable_${component} EXPORT actable_${component} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT actable_${component} NAMESPACE actable:: FILE actable_${component}.cmake DESTINATION ${package_dir})
endforeach()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/actableConfig.cmake.in
  ${PROJECT_BINARY_DIR}/actableConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change the public face.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/actableConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/actableConfig.cmake ${PROJECT_BINARY_DIR}/actableConfigVersion.cmake
  DESTINATION ${package_dir})

# A static linker takes from a library only what those before it asked for:
# highest floor first.
list(REVERSE floor_targets)
list(TRANSFORM floor_targets PREPEND -l)
list(JOIN floor_targets " " ACTABLE_PC_LIBS)
# Relative to where the file lies, so that `cmake --install --prefix` may choose.
file(RELATIVE_PATH ACTABLE_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/actable.pc.in ${PROJECT_BINARY_DIR}/actable.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/actable.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(ACTABLE_ACTORS)
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/FindCAF.cmake DESTINATION ${package_dir}/modules)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/actable-actors.pc.in ${PROJECT_BINARY_DIR}/actable-actors.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/actable-actors.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

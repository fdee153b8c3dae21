# How every target of the project is made: `actable_floor(NAME SOURCES… DEPENDS…)`
# makes one floor, with its alias actable::NAME and the project's warnings, and
# puts it on the list of what is installed (see ActableInstall). With COMPONENT
# it is a component of the package by that name, which users ask for; the others
# are what every user gets.

include(ActableSanitizers)

add_library(actable_warnings INTERFACE)
target_compile_options(actable_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  # GCC 12 sees overlaps in `"text" + std::string` that are not there (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${ACTABLE_WERROR}>:-Werror>)

function(actable_floor name)
  cmake_parse_arguments(ARG "COMPONENT" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(actable_${name} STATIC ${ARG_SOURCES})
  add_library(actable::${name} ALIAS actable_${name})
  target_compile_features(actable_${name} PUBLIC cxx_std_23)
  target_include_directories(actable_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(actable_${name}
    PUBLIC actable::headers ${ARG_DEPENDS}
    PRIVATE $<BUILD_INTERFACE:actable_warnings> ${ARG_PRIVATE_DEPENDS})
  set_target_properties(actable_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME ${name})
  if(ACTABLE_PARK_POINTS)
    target_compile_definitions(actable_${name} PUBLIC ACTABLE_PARK_POINTS=1)
  endif()
  if(ACTABLE_PLANTED_FAULTS)
    target_compile_definitions(actable_${name} PUBLIC ACTABLE_PLANTED_FAULTS=1)
  endif()
  # Floors are added from the lowest up, so the list is in that order.
  if(ARG_COMPONENT)
    set_property(GLOBAL APPEND PROPERTY ACTABLE_COMPONENTS ${name})
  else()
    set_property(GLOBAL APPEND PROPERTY ACTABLE_FLOORS ${name})
  endif()
endfunction()

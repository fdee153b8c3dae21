# `actable_test(NAME SOURCES … DEPENDS … [LABELS …] [LONG …] [TIMEOUT seconds])`
# makes one test program and registers it with CTest.
#
#   SOURCES    the files, each with the tests of one behaviour
#   DEPENDS    the floors and libraries that it links
#   LABELS     for `ctest -L`; `tsan` puts it into the ThreadSanitizer leg
#   LONG       Catch2 tags of slow tests: each becomes a CTest entry NAME.TAG of
#              its own, so that they run side by side; the entry NAME has the rest
#   TIMEOUT    of each entry, in seconds, without sanitizers; 300 if not given
#   DEFINES    compile definitions, such as the path of a program to start

find_package(Catch2 REQUIRED)

# A filter that matches no test is a mistake in the CMakeLists, not a success.
if(Catch2_VERSION VERSION_LESS 3)
  set(ACTABLE_CATCH_ARGS --warn NoTests)
else()
  set(ACTABLE_CATCH_ARGS --warn UnmatchedTestSpec)
endif()

function(actable_add_ctest name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  math(EXPR timeout "${ARG_TIMEOUT} * ${ACTABLE_TEST_TIMEOUT_FACTOR}")
  add_test(NAME ${name} COMMAND ${ACTABLE_TEST_LAUNCHER} ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS "${ARG_LABELS}"
    ENVIRONMENT "${ACTABLE_TEST_ENVIRONMENT}")
endfunction()

function(actable_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;LONG;DEFINES" ${ARGN})
  set(target test_${name})
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE test_support Catch2::Catch2WithMain actable_warnings ${ARG_DEPENDS})
  target_compile_definitions(${target} PRIVATE ${ARG_DEFINES})

  # A hidden case is run by its name; Catch counts it among those without a tag.
  set(rest "~[.]")
  foreach(tag IN LISTS ARG_LONG)
    list(APPEND rest "~[${tag}]")
    actable_add_ctest(${name}.${tag} COMMAND $<TARGET_FILE:${target}> ${ACTABLE_CATCH_ARGS} "[${tag}]"
      LABELS ${ARG_LABELS} long TIMEOUT ${ARG_TIMEOUT})
  endforeach()
  string(JOIN "" rest ${rest})
  actable_add_ctest(${name} COMMAND $<TARGET_FILE:${target}> ${ACTABLE_CATCH_ARGS} ${rest}
    LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# A program that tests of this folder start as a child process. It lies beside
# them, as test_NAME.
function(actable_test_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE test_support actable_warnings ${ARG_DEPENDS})
endfunction()

// The socket in the store's directory: whose it is, and where it may be.

#include "debug/local_socket.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/temporary_directory.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace actable;
using namespace actable::debug;
using namespace actable::test;

namespace {

namespace fs = std::filesystem;

/// A directory whose path is longer than an address holds.
fs::path deep_directory(const TemporaryDirectory& root) {
  fs::path deep = root.path();
  while (deep.string().size() < 300) deep /= std::string(60, 'd');
  fs::create_directories(deep);
  fs::permissions(deep, fs::perms::owner_all);
  return deep;
}

void check_connection(Listener& listener, const fs::path& directory) {
  const auto client = must(connect_in(directory));
  const auto accepted = must(listener.accept());
  REQUIRE(accepted.has_value());
  REQUIRE(send(client.number(), "x", 1, 0) == 1);
  char byte = 0;
  REQUIRE(recv(accepted->number(), &byte, 1, 0) == 1);
  CHECK(byte == 'x');
  const auto peer = peer_of(accepted->number());
  REQUIRE(peer.has_value());
  CHECK(peer->user == geteuid());
  CHECK(peer->process == getpid());
}

}  // namespace

TEST_CASE("clients reach the socket, which is the owner's alone and goes with its listener", "[socket]") {
  const TemporaryDirectory directory;
  {
    Listener listener = must(Listener::open(directory.path()));
    struct stat status {};
    REQUIRE(lstat((directory / k_socket_name).c_str(), &status) == 0);
    CHECK(S_ISSOCK(status.st_mode));
    CHECK((status.st_mode & 0777) == 0600);
    check_connection(listener, directory.path());
    CHECK_FALSE(must(listener.accept()).has_value());
  }
  CHECK_FALSE(fs::exists(fs::symlink_status(directory / k_socket_name)));
}

TEST_CASE("the path may be longer than a socket's address", "[socket]") {
  const TemporaryDirectory root;
  const fs::path deep = deep_directory(root);
  Listener listener = must(Listener::open(deep));
  CHECK(fs::is_socket(deep / k_socket_name));
  check_connection(listener, deep);
}

TEST_CASE("a socket that a crash left is replaced, and nobody is taken to listen there", "[socket]") {
  const TemporaryDirectory directory;
  {
    Listener listener = must(Listener::open(directory.path()));
    // As a crash leaves it.
    fs::rename(directory / k_socket_name, directory / "kept");
  }
  fs::rename(directory / "kept", directory / k_socket_name);
  CHECK(outcome(connect_in(directory.path())) == "not_found");
  Listener listener = must(Listener::open(directory.path()));
  check_connection(listener, directory.path());
}

TEST_CASE("no socket, no directory: nobody listens", "[socket]") {
  const TemporaryDirectory directory;
  CHECK(outcome(connect_in(directory.path())) == "not_found");
  CHECK(outcome(connect_in(directory / "missing")) == "not_found");
  CHECK(outcome(Listener::open(directory / "missing")) == "not_found");
}

TEST_CASE("a directory that others may write to is refused", "[socket]") {
  const TemporaryDirectory directory;
  for (const fs::perms others : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(directory.path(), fs::perms::owner_all | others);
    const auto opened = Listener::open(directory.path());
    CHECK(outcome(opened) == "invalid_argument");
    CHECK_THAT(message(opened), ContainsSubstring("chmod go-w"));
    CHECK_FALSE(fs::exists(directory / k_socket_name));
  }
}

TEST_CASE("a directory of another user is refused", "[socket]") {
  if (geteuid() != 0) return;  // Only root can make one.
  const TemporaryDirectory directory;
  REQUIRE(chown(directory.path().c_str(), 12'345, 12'345) == 0);
  const auto opened = Listener::open(directory.path());
  CHECK(outcome(opened) == "invalid_argument");
  CHECK_THAT(message(opened), ContainsSubstring("belongs to user 12345"));
}

TEST_CASE("a file of that name which is no socket is left alone", "[socket]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / k_socket_name) << "mine";
  CHECK(outcome(Listener::open(directory.path())) == "invalid_argument");
  CHECK(fs::file_size(directory / k_socket_name) == 4);
}

TEST_CASE("only the process's own user and root may connect", "[socket]") {
  CHECK(Listener::may_connect({.user = 0, .process = 1}));
  CHECK(Listener::may_connect({.user = geteuid(), .process = 1}));
  CHECK_FALSE(Listener::may_connect({.user = geteuid() + 1, .process = 1}));
}

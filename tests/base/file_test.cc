#include "base/file.h"

#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forked.h"
#include "tests/support/temporary_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

namespace actable::base {
namespace {

using namespace std::chrono_literals;
using std::filesystem::path;
using test::Call;
using test::ContainsSubstring;
using test::Fault;
using test::FaultyFileSystem;
using test::TemporaryDirectory;

struct alignas(k_block_bytes) Block : std::array<std::byte, k_block_bytes> {};

Block block_of(unsigned char value) {
  Block block;
  block.fill(std::byte{value});
  return block;
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text_at(File& file, std::uint64_t offset, std::size_t length) {
  std::string text(length, '\0');
  const auto got = file.read(offset, std::as_writable_bytes(std::span(text)));
  REQUIRE(got);
  text.resize(*got);
  return text;
}

std::unique_ptr<File> opened(FileSystem& system, const path& name, OpenMode mode) {
  auto file = system.open(name, mode);
  INFO((file ? "" : file.error().message));
  REQUIRE(file);
  return std::move(*file);
}

constexpr OpenMode k_new{.create = true, .write = true};

void make_file(const path& name, std::string_view text) { std::ofstream(name) << text; }

mode_t permissions_of(const path& name) {
  struct stat status {};
  REQUIRE(stat(name.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

template <class T>
void require_error(const Result<T>& result, ErrorCode code, const std::string& part) {
  REQUIRE_FALSE(result.has_value());
  CHECK(to_string(result.error().code) == to_string(code));
  CHECK_THAT(result.error().message, ContainsSubstring(part));
}

TEST_CASE("what was written is read back, up to the end of the file") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  REQUIRE(file->write(0, bytes_of("hello")));
  REQUIRE(file->write(8, bytes_of("world")));
  REQUIRE(file->sync());

  CHECK(*file->size() == 13);
  CHECK(text_at(*file, 0, 100) == std::string_view("hello\0\0\0world", 13));
  CHECK(text_at(*file, 10, 2) == "rl");
  CHECK(text_at(*file, 13, 10).empty());
  CHECK(file->path() == directory / "f");
}

TEST_CASE("a new file is for its owner only, and is not passed on to programs the process starts") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", {.create = true, .write = true, .direct = true});
  CHECK(permissions_of(directory / "f") == 0600);
  CHECK((fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a missing file is not found, and an existing one is not created again") {
  const TemporaryDirectory directory;
  FileSystem& system = posix_file_system();
  require_error(system.open(directory / "f", {.write = true}), ErrorCode::not_found, directory / "f");
  make_file(directory / "f", "kept");
  require_error(system.open(directory / "f", k_new), ErrorCode::io_error, "File exists");
  require_error(system.open(directory / "none" / "f", k_new), ErrorCode::io_error, "check the path");
  CHECK(text_at(*opened(system, directory / "f", {}), 0, 9) == "kept");
}

TEST_CASE("a write to a file opened for reading fails and names the file and the place") {
  const TemporaryDirectory directory;
  make_file(directory / "f", "kept");
  const auto file = opened(posix_file_system(), directory / "f", {});
  const auto written = file->write(2, bytes_of("xx"));
  require_error(written, ErrorCode::io_error, "2 bytes at offset 2 of " + (directory / "f").string());
  CHECK(text_at(*file, 0, 9) == "kept");
}

TEST_CASE("direct writes are seen by reads that need no alignment") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", {.create = true, .write = true, .direct = true});
  CHECK(((fcntl(file->descriptor(), F_GETFL) & O_DIRECT) != 0) == file->direct());

  REQUIRE(file->write(0, block_of('a')));
  REQUIRE(file->write(k_block_bytes, block_of('b')));
  CHECK(text_at(*file, k_block_bytes - 2, 4) == "aabb");
  // The first read has put the old bytes into the cache.
  REQUIRE(file->write(0, block_of('c')));
  REQUIRE(file->sync());
  CHECK(text_at(*file, k_block_bytes - 2, 4) == "ccbb");
}

TEST_CASE("a file system without direct writing gets writes through the cache") {
  // The kernel's own files have none: here, what a core dump is to hold.
  const path name = "/proc/self/coredump_filter";
  if (!std::filesystem::exists(name)) {
    WARN("no " << name << " here");
    return;
  }
  const std::string before = text_at(*opened(posix_file_system(), name, {}), 0, 16);
  const auto file = opened(posix_file_system(), name, {.write = true, .direct = true});
  CHECK_FALSE(file->direct());
  CHECK(file->write(0, bytes_of("0x5")));
  CHECK(text_at(*file, 0, 16) == "00000005\n");
  REQUIRE(file->write(0, bytes_of("0x" + before)));
  CHECK(text_at(*file, 0, 16) == before);
}

TEST_CASE("a file in memory takes writes whether its file system has direct writing or not") {
  const path name = "/dev/shm/actable-file-test-" + std::to_string(getpid());
  if (!std::filesystem::is_directory("/dev/shm")) {
    WARN("no /dev/shm here");
    return;
  }
  const auto file = opened(posix_file_system(), name, {.create = true, .write = true, .direct = true});
  CHECK(posix_file_system().remove(name));
  REQUIRE(file->write(k_block_bytes, block_of('m')));
  REQUIRE(file->sync());
  CHECK(*file->size() == 2 * k_block_bytes);
  CHECK(text_at(*file, k_block_bytes - 1, 3) == std::string_view("\0mm", 3));
}

TEST_CASE("a full disk is reported with what to do about it") {
  const auto file = opened(posix_file_system(), "/dev/full", {.write = true});
  require_error(file->write(0, bytes_of("x")), ErrorCode::io_error,
                "/dev/full: No space left on device; no space left: free some and open the store again");
}

TEST_CASE("allocated space reads as zeros, and what was there stays") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  REQUIRE(file->write(0, bytes_of("kept")));
  REQUIRE(file->allocate(0));
  CHECK(*file->size() == 4);
  REQUIRE(file->allocate(1 << 20));
  CHECK(*file->size() == 1 << 20);
  CHECK(text_at(*file, 0, 6) == std::string_view("kept\0\0", 6));
  REQUIRE(file->allocate(10));
  CHECK(*file->size() == 1 << 20);
}

TEST_CASE("more space than the disk has is refused") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  require_error(file->allocate(std::uint64_t{1} << 60), ErrorCode::io_error, "cannot reserve");
}

TEST_CASE("where space cannot be reserved the file grows all the same") {
  const TemporaryDirectory directory;
  const auto file = opened(posix_file_system(), directory / "f", k_new);
  REQUIRE(file->write(0, bytes_of("kept")));
  const int outcome = test::in_forked_child([&] {
    if (!test::refuse({SYS_fallocate, EOPNOTSUPP})) return 2;
    return file->allocate(100) && file->allocate(10) ? 0 : 1;
  });
  if (outcome == 2) {
    WARN("this system lets no process give up a system call");
    return;
  }
  CHECK(outcome == 0);
  CHECK(*file->size() == 100);
  CHECK(text_at(*file, 0, 5) == std::string_view("kept\0", 5));
}

TEST_CASE("a directory lists its names in order") {
  const TemporaryDirectory directory;
  for (const char* name : {"b", "a", "c"}) make_file(directory / name, "");
  const auto names = posix_file_system().list(directory.path());
  REQUIRE(names);
  CHECK(*names == std::vector<std::string>{"a", "b", "c"});
  require_error(posix_file_system().list(directory / "none"), ErrorCode::not_found, "none");
}

TEST_CASE("a rename replaces, a remove removes, and missing files are not found") {
  const TemporaryDirectory directory;
  FileSystem& system = posix_file_system();
  make_file(directory / "new", "new");
  make_file(directory / "old", "old");
  REQUIRE(system.rename(directory / "new", directory / "old"));
  REQUIRE(system.sync_directory(directory.path()));
  CHECK(*system.list(directory.path()) == std::vector<std::string>{"old"});
  CHECK(text_at(*opened(system, directory / "old", {}), 0, 9) == "new");
  REQUIRE(system.remove(directory / "old"));
  CHECK(system.list(directory.path())->empty());

  require_error(system.rename(directory / "none", directory / "other"), ErrorCode::not_found, directory / "none");
  require_error(system.remove(directory / "none"), ErrorCode::not_found, directory / "none");
  require_error(system.sync_directory(directory / "none"), ErrorCode::not_found, directory / "none");
}

TEST_CASE("a directory is made for its owner only, once") {
  const TemporaryDirectory parent;
  const std::string ending = GENERATE(test::values<std::string>({"", "/"}));
  const path name = (parent / "store").string() + ending;
  const auto made = posix_file_system().prepare_directory(name, true);
  REQUIRE(made);
  CHECK(*made);
  CHECK(permissions_of(name) == 0700);
  const auto again = posix_file_system().prepare_directory(name, true);
  REQUIRE(again);
  CHECK_FALSE(*again);
  const auto found = posix_file_system().prepare_directory(name, false);
  REQUIRE(found);
  CHECK_FALSE(*found);
}

TEST_CASE("a directory is not made without being asked for, nor its parents") {
  const TemporaryDirectory parent;
  FileSystem& system = posix_file_system();
  require_error(system.prepare_directory(parent / "store", false), ErrorCode::not_found, parent / "store");
  require_error(system.prepare_directory(parent / "none" / "store", true), ErrorCode::not_found, "none/store");
  CHECK(system.list(parent.path())->empty());
}

TEST_CASE("a file in the directory's place is refused") {
  const TemporaryDirectory parent;
  make_file(parent / "store", "kept");
  const bool create = GENERATE(false, true);
  require_error(posix_file_system().prepare_directory(parent / "store", create), ErrorCode::invalid_argument,
                "not a directory");
}

TEST_CASE("a directory that anyone may write in is refused") {
  const TemporaryDirectory directory;
  REQUIRE(chmod(directory.path().c_str(), 0777) == 0);
  require_error(posix_file_system().prepare_directory(directory.path(), true), ErrorCode::invalid_argument,
                "chmod o-w");
  REQUIRE(chmod(directory.path().c_str(), 0770) == 0);
  CHECK(posix_file_system().prepare_directory(directory.path(), true));
}

TEST_CASE("a directory that we may not write in is refused") {
  const TemporaryDirectory directory;
  REQUIRE(chmod(directory.path().c_str(), 0555) == 0);
  const int outcome = test::in_forked_child([&] {
    if (!test::drop_root()) return 2;
    const auto prepared = posix_file_system().prepare_directory(directory.path(), true);
    return !prepared && prepared.error().code == ErrorCode::invalid_argument ? 0 : 1;
  });
  CHECK(outcome == 0);
}

TEST_CASE("a locked directory is refused, naming the process that holds it") {
  const TemporaryDirectory directory;
  FileSystem& system = posix_file_system();
  const std::string holder = "locked by process " + std::to_string(getpid());
  auto lock = system.lock(directory.path());
  REQUIRE(lock);
  CHECK(text_at(*opened(system, directory / "LOCK", {}), 0, 20) == std::to_string(getpid()));
  CHECK(permissions_of(directory / "LOCK") == 0600);

  require_error(system.lock(directory.path()), ErrorCode::locked, holder + " (this one)");
  const int outcome = test::in_forked_child([&] {
    const auto second = system.lock(directory.path());
    if (second) return 1;
    if (second.error().code != ErrorCode::locked) return 2;
    return second.error().message.find(holder + ",") != std::string::npos ? 0 : 3;
  });
  CHECK(outcome == 0);

  lock->reset();
  CHECK(system.lock(directory.path()));
}

TEST_CASE("a lock goes with the process that held it") {
  const TemporaryDirectory directory;
  const int outcome = test::in_forked_child([&] {
    auto held = posix_file_system().lock(directory.path());
    if (!held) return 1;
    // The child ends without letting go of it.
    (void)held->release();
    return 0;
  });
  REQUIRE(outcome == 0);
  CHECK(posix_file_system().lock(directory.path()));
}

TEST_CASE("a forked child neither lets go of its parent's lock nor keeps it") {
  const TemporaryDirectory directory;
  auto lock = posix_file_system().lock(directory.path());
  REQUIRE(lock);
  REQUIRE(test::in_forked_child([&] {
            lock->reset();
            return 0;
          }) == 0);
  REQUIRE_FALSE(posix_file_system().lock(directory.path()));

  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    char end_of_test = 0;
    _exit(read(ends[0], &end_of_test, 1) == 0 ? 0 : 1);
  }
  lock->reset();
  CHECK(posix_file_system().lock(directory.path()));
  close(ends[0]);
  close(ends[1]);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("a lock file that is a symbolic link is not followed") {
  const TemporaryDirectory directory;
  make_file(directory / "precious", "kept");
  std::filesystem::create_symlink("precious", directory / "LOCK");
  require_error(posix_file_system().lock(directory.path()), ErrorCode::io_error, "symbolic link");
  CHECK(text_at(*opened(posix_file_system(), directory / "precious", {}), 0, 9) == "kept");
}

TEST_CASE("a faulty file system without orders passes calls on and counts them") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  REQUIRE(file->allocate(8));
  REQUIRE(file->write(0, bytes_of("one")));
  REQUIRE(file->write(3, bytes_of("two")));
  REQUIRE(file->sync());
  CHECK(text_at(*file, 0, 6) == "onetwo");
  REQUIRE(faulty.rename(directory / "f", directory / "g"));
  REQUIRE(faulty.sync_directory(directory.path()));
  REQUIRE(faulty.remove(directory / "g"));

  CHECK(file->descriptor() == -1);
  CHECK(faulty.calls(Call::write) == 2);
  for (const Call kind :
       {Call::open, Call::read, Call::sync, Call::allocate, Call::rename, Call::remove, Call::sync_directory}) {
    CHECK(faulty.calls(kind) == 1);
  }
}

TEST_CASE("the n-th call of a kind fails, and that alone") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.fail_nth(Call::write, 2, Fault::no_space);
  REQUIRE(file->write(0, bytes_of("one")));
  require_error(file->write(3, bytes_of("two")), ErrorCode::io_error, "No space left");
  REQUIRE(file->write(6, bytes_of("three")));
  CHECK(text_at(*file, 0, 20) == std::string_view("one\0\0\0three", 11));
  CHECK(faulty.calls(Call::write) == 3);
}

TEST_CASE("from the n-th on every call of a kind fails, until healed") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.fail_from(Call::sync, 2);
  REQUIRE(file->sync());
  for (int i = 0; i < 3; ++i) require_error(file->sync(), ErrorCode::io_error, "cannot sync");
  REQUIRE(file->write(0, bytes_of("x")));
  faulty.heal();
  CHECK(file->sync());
}

TEST_CASE("every kind of call can be made to fail before it does anything") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  for (const Call kind : {Call::open, Call::read, Call::write, Call::sync, Call::allocate, Call::rename, Call::remove,
                          Call::sync_directory}) {
    faulty.fail_from(kind, 1);
  }
  std::array<std::byte, 1> byte{};
  const std::string part = "Input/output error";
  require_error(faulty.open(directory / "g", k_new), ErrorCode::io_error, part);
  require_error(file->read(0, byte), ErrorCode::io_error, part);
  require_error(file->write(0, byte), ErrorCode::io_error, part);
  require_error(file->sync(), ErrorCode::io_error, part);
  require_error(file->allocate(9), ErrorCode::io_error, part);
  require_error(faulty.rename(directory / "f", directory / "g"), ErrorCode::io_error, part);
  require_error(faulty.remove(directory / "f"), ErrorCode::io_error, part);
  require_error(faulty.sync_directory(directory.path()), ErrorCode::io_error, part);

  CHECK(*posix_file_system().list(directory.path()) == std::vector<std::string>{"f"});
  CHECK(*file->size() == 0);
}

TEST_CASE("a short write leaves half of the bytes and fails") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.fail_nth(Call::write, 1, Fault::short_write);
  require_error(file->write(0, bytes_of("abcd")), ErrorCode::io_error, "wrote 2 of 4 bytes at offset 0");
  CHECK(text_at(*file, 0, 9) == "ab");
}

TEST_CASE("a full disk cuts the write that goes beyond it") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.cap_bytes_written(5);
  REQUIRE(file->write(0, bytes_of("abc")));
  require_error(file->write(3, bytes_of("def")), ErrorCode::io_error, "wrote 2 of 3 bytes");
  require_error(file->write(5, bytes_of("f")), ErrorCode::io_error, "No space left");
  CHECK(text_at(*file, 0, 9) == "abcde");
  faulty.heal();
  CHECK(file->write(5, bytes_of("f")));
}

TEST_CASE("a full disk cuts direct writes at whole blocks") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", {.create = true, .write = true, .direct = true});
  if (!file->direct()) {
    WARN("no direct writing in " << directory.path());
    return;
  }
  faulty.cap_bytes_written(k_block_bytes + 100);
  const std::array<Block, 3> blocks{block_of('a'), block_of('b'), block_of('c')};
  require_error(file->write(0, std::as_bytes(std::span(blocks))), ErrorCode::io_error, "wrote 4096 of 12288 bytes");
  CHECK(*file->size() == k_block_bytes);
}

TEST_CASE("a delayed call ends when its delay is taken back") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.delay(Call::sync, 24h);
  REQUIRE_FALSE(faulty.wait_until_delayed(Call::sync, 1ms));
  bool synced = false;
  std::thread syncing([&] { synced = file->sync().has_value(); });
  const bool was_delayed = faulty.wait_until_delayed(Call::sync);
  const bool heals = GENERATE(false, true);
  heals ? faulty.heal() : faulty.delay(Call::sync, 0ns);
  syncing.join();
  CHECK(was_delayed);
  CHECK(synced);
}

TEST_CASE("a delayed call ends by itself after its delay") {
  const TemporaryDirectory directory;
  FaultyFileSystem faulty;
  const auto file = opened(faulty, directory / "f", k_new);
  faulty.delay(Call::write, 20ms);
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(file->write(0, bytes_of("x")));
  CHECK(std::chrono::steady_clock::now() - start >= 20ms);
  CHECK(text_at(*file, 0, 9) == "x");
}

}  // namespace
}  // namespace actable::base

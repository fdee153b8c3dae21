#include "tests/support/faulty_file_system.h"

#include "base/file_error.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace actable::test {
namespace {

int error_number(Fault fault) { return fault == Fault::no_space ? ENOSPC : EIO; }

std::unexpected<Error> injected(Fault fault, const char* what, const std::filesystem::path& path) {
  return std::unexpected(base::file_error(ErrorCode::io_error, what, path, error_number(fault)));
}

}  // namespace

/// Thread safety: *synchronized*.
class FaultyFileSystem::FaultyFile final : public base::File {
 public:
  FaultyFile(FaultyFileSystem& system, std::unique_ptr<File> below) : system_(system), below_(std::move(below)) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    if (auto allowed = system_.pass_read(path(), offset, into.size()); !allowed) {
      return std::unexpected(allowed.error());
    }
    return below_->read(offset, into);
  }

  Result<std::size_t> read_direct(std::uint64_t offset, std::span<std::byte> into) override {
    if (auto allowed = system_.pass_read(path(), offset, into.size()); !allowed) {
      return std::unexpected(allowed.error());
    }
    return below_->read_direct(offset, into);
  }

  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::size_t unit = direct() ? base::k_block_bytes : 1;
    const std::optional<Fault> fault = system_.begin(Call::write);
    if (fault && *fault != Fault::short_write) {
      return std::unexpected(base::write_error(path(), offset, bytes, error_number(*fault)));
    }
    const std::size_t wanted = fault ? bytes.size() / 2 / unit * unit : bytes.size();
    const std::size_t granted = system_.take_room(wanted, unit);
    if (granted != 0 || bytes.empty()) {
      if (auto done = below_->write(offset, bytes.first(granted)); !done) return done;
    }
    if (granted == bytes.size()) return {};
    if (granted == 0 && !fault) return std::unexpected(base::write_error(path(), offset, bytes, ENOSPC));
    return std::unexpected(base::short_write_error(path(), offset, bytes, granted));
  }

  Result<void> sync() override {
    if (auto allowed = system_.pass(Call::sync, "sync", path()); !allowed) return allowed;
    return below_->sync();
  }

  Result<void> allocate(std::uint64_t bytes) override {
    if (auto allowed = system_.pass(Call::allocate, "reserve space for", path()); !allowed) return allowed;
    return below_->allocate(bytes);
  }

  Result<std::uint64_t> size() override {
    if (auto allowed = system_.pass(Call::size, "ask the size of", path()); !allowed) {
      return std::unexpected(allowed.error());
    }
    return below_->size();
  }
  [[nodiscard]] bool direct() const noexcept override { return below_->direct(); }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return below_->path(); }

 private:
  FaultyFileSystem& system_;
  std::unique_ptr<File> below_;
};

std::uint64_t FaultyFileSystem::calls(Call kind) const {
  const std::lock_guard lock(mutex_);
  return orders_[static_cast<std::size_t>(kind)].begun;
}

void FaultyFileSystem::fail_nth(Call kind, std::uint64_t nth, Fault fault) {
  const std::lock_guard lock(mutex_);
  Orders& of = orders(kind);
  of.fail_first = of.fail_last = of.begun + nth;
  of.fault = fault;
}

void FaultyFileSystem::fail_from(Call kind, std::uint64_t nth, Fault fault) {
  const std::lock_guard lock(mutex_);
  Orders& of = orders(kind);
  of.fail_first = of.begun + nth;
  of.fail_last = std::numeric_limits<std::uint64_t>::max();
  of.fault = fault;
}

void FaultyFileSystem::delay(Call kind, std::chrono::nanoseconds by) {
  const std::lock_guard lock(mutex_);
  orders(kind).delay = by;
  changed_.notify_all();
}

bool FaultyFileSystem::wait_until_delayed(Call kind, std::chrono::nanoseconds longest) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, longest, [&] { return orders(kind).delayed_now != 0; });
}

void FaultyFileSystem::cap_bytes_written(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  room_ = bytes;
}

void FaultyFileSystem::fail_reads(const std::string& name, std::uint64_t offset, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  unreadable_.push_back({name, offset, offset + bytes});
}

Result<void> FaultyFileSystem::pass_read(const std::filesystem::path& path, std::uint64_t offset, std::size_t bytes) {
  if (auto allowed = pass(Call::read, "read", path); !allowed) return allowed;
  const std::lock_guard lock(mutex_);
  const bool unreadable = std::ranges::any_of(unreadable_, [&](const Unreadable& place) {
    return path.filename() == place.name && offset < place.end && place.begin < offset + bytes;
  });
  if (unreadable) return injected(Fault::io_error, "read", path);
  return {};
}

void FaultyFileSystem::refuse_direct() {
  const std::lock_guard lock(mutex_);
  direct_ = false;
}

void FaultyFileSystem::heal() {
  const std::lock_guard lock(mutex_);
  for (Orders& of : orders_) {
    of.fail_first = of.fail_last = 0;
    of.delay = {};
  }
  room_.reset();
  unreadable_.clear();
  direct_ = true;
  changed_.notify_all();
}

/// Counts the call and sits out its delay. How it is to fail, if it is.
std::optional<Fault> FaultyFileSystem::begin(Call kind) {
  std::unique_lock lock(mutex_);
  Orders& of = orders(kind);
  ++of.begun;
  const bool fails = of.fail_first <= of.begun && of.begun <= of.fail_last;
  const std::optional<Fault> fault = fails ? std::optional(of.fault) : std::nullopt;
  if (of.delay <= std::chrono::nanoseconds::zero()) return fault;

  const auto start = std::chrono::steady_clock::now();
  ++of.delayed_now;
  changed_.notify_all();
  while (std::chrono::steady_clock::now() < start + of.delay) changed_.wait_until(lock, start + of.delay);
  --of.delayed_now;
  return fault;
}

/// How many of the bytes, in whole units, still fit the disk.
std::size_t FaultyFileSystem::take_room(std::size_t bytes, std::size_t unit) {
  const std::lock_guard lock(mutex_);
  if (!room_) return bytes;
  const std::size_t granted = *room_ >= bytes ? bytes : static_cast<std::size_t>(*room_) / unit * unit;
  *room_ -= granted;
  return granted;
}

Result<void> FaultyFileSystem::pass(Call kind, const char* what, const std::filesystem::path& path) {
  if (const std::optional<Fault> fault = begin(kind)) return injected(*fault, what, path);
  return {};
}

Result<std::unique_ptr<base::File>> FaultyFileSystem::open(const std::filesystem::path& path, base::OpenMode mode) {
  if (auto allowed = pass(Call::open, "open", path); !allowed) return std::unexpected(allowed.error());
  {
    const std::lock_guard lock(mutex_);
    mode.direct = mode.direct && direct_;
  }
  auto below = below_.open(path, mode);
  if (!below) return below;
  return std::make_unique<FaultyFile>(*this, std::move(*below));
}

Result<std::vector<std::string>> FaultyFileSystem::list(const std::filesystem::path& directory) {
  if (auto allowed = pass(Call::list, "list", directory); !allowed) return std::unexpected(allowed.error());
  return below_.list(directory);
}

Result<void> FaultyFileSystem::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (auto allowed = pass(Call::rename, "rename a file to", to); !allowed) return allowed;
  return below_.rename(from, to);
}

Result<void> FaultyFileSystem::remove(const std::filesystem::path& path) {
  if (auto allowed = pass(Call::remove, "remove", path); !allowed) return allowed;
  return below_.remove(path);
}

Result<void> FaultyFileSystem::sync_directory(const std::filesystem::path& directory) {
  if (auto allowed = pass(Call::sync_directory, "sync directory", directory); !allowed) return allowed;
  return below_.sync_directory(directory);
}

Result<bool> FaultyFileSystem::prepare_directory(const std::filesystem::path& directory, bool create) {
  return below_.prepare_directory(directory, create);
}

Result<std::unique_ptr<base::DirectoryLock>> FaultyFileSystem::lock(const std::filesystem::path& directory) {
  return below_.lock(directory);
}

Result<std::unique_ptr<base::WriteQueue>> FaultyFileSystem::make_queue(LogIo kind) { return below_.make_queue(kind); }

}  // namespace actable::test

#include "tests/support/simulated_disk.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace actable::test {

/// Thread safety: *synchronized*.
class SimulatedDisk::DiskFile final : public base::File {
 public:
  DiskFile(SimulatedDisk& disk, std::shared_ptr<Inode> inode, std::filesystem::path path, bool direct)
      : disk_(disk), inode_(std::move(inode)), path_(std::move(path)), direct_(direct) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto on = disk_.check(path_); !on) return std::unexpected(on.error());
    const std::vector<std::byte>& bytes = inode_->now;
    if (offset >= bytes.size()) return std::size_t{0};
    const auto count = std::min<std::size_t>(into.size(), bytes.size() - static_cast<std::size_t>(offset));
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    return count;
  }

  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (direct_) {
      ACTABLE_ASSERT(offset % base::k_block_bytes == 0 && bytes.size() % base::k_block_bytes == 0);
      ACTABLE_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % base::k_block_bytes == 0);
    }
    auto done = add({0, offset, {bytes.begin(), bytes.end()}, offset + bytes.size()});
    disk_.tell({"write", path_.filename(), offset, bytes.size()});
    return done;
  }

  Result<void> allocate(std::uint64_t bytes) override {
    auto done = add({0, 0, {}, bytes});
    disk_.tell({"allocate", path_.filename(), 0, bytes});
    return done;
  }

  Result<void> sync() override { return sync_through(~std::uint64_t{0}); }

  Result<void> sync_through(std::uint64_t through) {
    {
      const std::lock_guard lock(disk_.mutex_);
      if (auto on = disk_.change(path_); !on) return on;
      const auto later = [through](const Write& write) { return write.number > through; };
      const auto end = std::ranges::find_if(inode_->unsynced, later);
      for (auto write = inode_->unsynced.begin(); write != end; ++write) apply(*write, inode_->synced);
      inode_->unsynced.erase(inode_->unsynced.begin(), end);
    }
    disk_.tell({"sync", path_.filename()});
    return {};
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard lock(disk_.mutex_);
    if (auto on = disk_.check(path_); !on) return std::unexpected(on.error());
    return inode_->now.size();
  }

  [[nodiscard]] bool direct() const noexcept override { return direct_; }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }

 private:
  Result<void> add(Write write) {
    const std::lock_guard lock(disk_.mutex_);
    if (auto on = disk_.change(path_); !on) return on;
    write.number = disk_.changes_;
    apply(write, inode_->now);
    inode_->unsynced.push_back(std::move(write));
    return {};
  }

  SimulatedDisk& disk_;
  const std::shared_ptr<Inode> inode_;
  const std::filesystem::path path_;
  const bool direct_;
};

void SimulatedDisk::apply(const Write& write, std::vector<std::byte>& to) {
  if (to.size() < write.size) to.resize(write.size);
  std::ranges::copy(write.bytes, to.begin() + static_cast<std::ptrdiff_t>(write.offset));
}

/// Each block of the write reaches the disk, does not, or (rarely) half does.
void SimulatedDisk::apply_some(const Write& write, std::vector<std::byte>& to, Random& random) {
  if (write.bytes.empty()) {
    if (!random.one_in(3)) apply(write, to);
    return;
  }
  const std::uint64_t most = random.below(4);  // Of this write nothing, little, much or all survives.
  for (std::size_t at = 0; at < write.bytes.size(); at += base::k_block_bytes) {
    if (random.below(3) >= most) continue;
    std::size_t count = std::min(base::k_block_bytes, write.bytes.size() - at);
    if (random.one_in(16)) count = std::min(count, std::size_t{512} * random.below(8));
    const auto from = write.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    apply(
        {write.number, write.offset + at, {from, from + static_cast<std::ptrdiff_t>(count)}, write.offset + at + count},
        to);
  }
}

/// Each sector reaches the disk, does not, is cut in its middle, or is rubbish.
void SimulatedDisk::apply_torn(const Write& write, std::vector<std::byte>& to, Random& random) {
  constexpr std::size_t k_sector_bytes = 512;
  if (write.bytes.empty()) return apply_some(write, to, random);
  for (std::size_t at = 0; at < write.bytes.size(); at += k_sector_bytes) {
    const std::uint64_t fate = random.below(8);
    if (fate < 3) continue;
    const std::size_t whole = std::min(k_sector_bytes, write.bytes.size() - at);
    const std::size_t count = fate == 3 ? static_cast<std::size_t>(random.below(whole)) : whole;
    const auto from = write.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::byte> bytes(from, from + static_cast<std::ptrdiff_t>(count));
    if (fate == 4) {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    } else if (fate == 5) {
      bytes[static_cast<std::size_t>(random.below(count))] ^= std::byte{1} << random.below(8);
    }
    apply({write.number, write.offset + at, std::move(bytes), write.offset + at + whole}, to);
  }
}

SimulatedDisk::SimulatedDisk(const Image& image) {
  for (const auto& [name, bytes] : image) names_[name] = std::make_shared<Inode>(Inode{bytes, bytes, {}});
  names_since_sync_ = {names_};
}

SimulatedDisk::Names SimulatedDisk::names_left(Survival survival, Random& random) const {
  if (survival == Survival::none) return names_since_sync_.front();
  if (survival == Survival::all) return names_since_sync_.back();
  if (survival == Survival::prefix) {
    return names_since_sync_[static_cast<std::size_t>(random.below(names_since_sync_.size()))];
  }
  Names left = names_since_sync_.front();
  for (std::size_t i = 1; i < names_since_sync_.size(); ++i) {
    if (random.one_in(2)) continue;
    const Names& before = names_since_sync_[i - 1];
    const Names& after = names_since_sync_[i];
    for (const auto& [name, inode] : before) {
      if (!after.contains(name)) left.erase(name);
    }
    for (const auto& [name, inode] : after) {
      const auto was = before.find(name);
      if (was == before.end() || was->second != inode) left[name] = inode;
    }
  }
  return left;
}

SimulatedDisk::Image SimulatedDisk::image(Survival survival, Random& random) const {
  const std::lock_guard lock(mutex_);
  // Of all files together, the change that is the first to be lost.
  const std::uint64_t lost_from = survival == Survival::none     ? 0
                                  : survival == Survival::prefix ? changes_ - random.below(12)
                                                                 : ~std::uint64_t{0};
  Image left;
  for (const auto& [name, inode] : names_left(survival, random)) {
    std::vector<std::byte>& bytes = left[name] = inode->synced;
    for (const Write& write : inode->unsynced) {
      if (write.number >= lost_from) continue;
      if (survival == Survival::some) {
        apply_some(write, bytes, random);
      } else if (survival == Survival::torn) {
        apply_torn(write, bytes, random);
      } else {
        apply(write, bytes);
      }
    }
  }
  return left;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::power_cut(Random& random) const {
  return std::make_unique<SimulatedDisk>(image(Survival::some, random));
}

Result<void> SimulatedDisk::sync_through(base::File& file, std::uint64_t through) {
  return static_cast<DiskFile&>(file).sync_through(through);
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::killed() const {
  const std::lock_guard lock(mutex_);
  auto left = std::make_unique<SimulatedDisk>();
  for (const auto& [name, inode] : names_) left->put(name, inode->now);
  return left;
}

void SimulatedDisk::stop_after(std::uint64_t changes) {
  const std::lock_guard lock(mutex_);
  changes_max_ = changes_ + changes;
}

std::uint64_t SimulatedDisk::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

std::vector<std::string> SimulatedDisk::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_) names.push_back(name);
  return names;
}

std::uint64_t SimulatedDisk::total_bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const auto& [name, inode] : names_) bytes += inode->now.size();
  return bytes;
}

std::vector<std::byte>& SimulatedDisk::bytes(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return names_.at(name)->now;
}

void SimulatedDisk::put(const std::string& name, std::vector<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  names_[name] = std::make_shared<Inode>(Inode{bytes, bytes, {}});
  names_since_sync_ = {names_};
}

void SimulatedDisk::drop(const std::string& name) {
  const std::lock_guard lock(mutex_);
  names_.erase(name);
  names_since_sync_ = {names_};
}

Result<void> SimulatedDisk::check(const std::filesystem::path& path) const {
  if (changes_ <= changes_max_) return {};
  return fail(ErrorCode::io_error, path.string() + ": the disk has no power");
}

Result<void> SimulatedDisk::change(const std::filesystem::path& path) {
  ++changes_;
  return check(path);
}

Result<std::unique_ptr<base::File>> SimulatedDisk::open(const std::filesystem::path& path, base::OpenMode mode) {
  auto file = open_or_create(path, mode);
  if (mode.create) tell({"create", path.filename()});
  return file;
}

Result<std::unique_ptr<base::File>> SimulatedDisk::open_or_create(const std::filesystem::path& path,
                                                                  base::OpenMode mode) {
  const std::lock_guard lock(mutex_);
  const std::string name = path.filename();
  if (mode.create) {
    if (auto on = change(path); !on) return std::unexpected(on.error());
    if (names_.contains(name)) return fail(ErrorCode::io_error, path.string() + " is there");
    names_[name] = std::make_shared<Inode>();
    names_since_sync_.push_back(names_);
  }
  if (auto on = check(path); !on) return std::unexpected(on.error());
  const auto found = names_.find(name);
  if (found == names_.end()) return fail(ErrorCode::not_found, path.string() + " is missing");
  return std::make_unique<DiskFile>(*this, found->second, path, mode.direct);
}

Result<std::vector<std::string>> SimulatedDisk::list(const std::filesystem::path& directory) {
  {
    const std::lock_guard lock(mutex_);
    if (auto on = check(directory); !on) return std::unexpected(on.error());
  }
  return names();
}

Result<void> SimulatedDisk::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  {
    const std::lock_guard lock(mutex_);
    if (auto on = change(to); !on) return on;
    const auto node = names_.extract(from.filename());
    if (node.empty()) return fail(ErrorCode::not_found, from.string() + " is missing");
    names_[to.filename()] = node.mapped();
    names_since_sync_.push_back(names_);
  }
  tell({"rename", to.filename()});
  return {};
}

Result<void> SimulatedDisk::remove(const std::filesystem::path& path) {
  {
    const std::lock_guard lock(mutex_);
    if (auto on = change(path); !on) return on;
    if (names_.erase(path.filename()) == 0) return fail(ErrorCode::not_found, path.string() + " is missing");
    names_since_sync_.push_back(names_);
  }
  tell({"remove", path.filename()});
  return {};
}

Result<void> SimulatedDisk::sync_directory(const std::filesystem::path& directory) {
  {
    const std::lock_guard lock(mutex_);
    if (auto on = change(directory); !on) return on;
    names_since_sync_ = {names_};
  }
  tell({"sync_directory", {}});
  return {};
}

Result<bool> SimulatedDisk::prepare_directory(const std::filesystem::path&, bool) { return false; }

Result<std::unique_ptr<base::DirectoryLock>> SimulatedDisk::lock(const std::filesystem::path&) {
  return std::make_unique<base::DirectoryLock>();
}

Result<std::unique_ptr<base::WriteQueue>> SimulatedDisk::make_queue(LogIo kind) {
  return base::posix_file_system().make_queue(kind);
}

}  // namespace actable::test

#include "tests/lab/rot/small_checkpoint.h"

#include "checkpoint/file_reader.h"
#include "checkpoint/manifest.h"
#include "store/access.h"
#include "store/store_core.h"
#include "tests/support/results.h"
#include "tests/support/simulated_disk.h"
#include "wal/identity.h"

#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace actable::lab::rot {
namespace {

using test::must;
using test::Random;
using test::SimulatedDisk;

constexpr const char* k_directory = "/simulated";
constexpr std::uint64_t k_one_flip_in = 512;

using Keys = std::map<std::pair<std::string, std::string>, std::string>;
using Read = std::map<std::tuple<std::uint32_t, std::string, Seq>, std::string>;

Options options() {
  Options options;
  options.directory = k_directory;
  options.shards = 1;
  options.segment_bytes = std::uint64_t{64} << 10;
  options.checkpoint_interval = std::chrono::milliseconds(0);
  options.checkpoint_log_percent = 0;
  // Only the block with the long value is one that this makes shorter.
  options.checkpoint_compression = CheckpointCompression::zstd;
  return options;
}

Keys keys_of(Store& store) {
  Keys keys;
  for (const std::string& name : store.spaces()) {
    Cursor cursor = must(store.space(name)).scan();
    while (must(cursor.next())) keys[{name, std::string(cursor.entry().key)}] = cursor.entry().value;
  }
  return keys;
}

/// What the files hold, read without a store; the error where they are refused.
Result<Read> read_back(SimulatedDisk& disk, std::uint64_t store_id) {
  const auto manifest = checkpoint::read_manifest(disk, k_directory, store_id);
  if (!manifest) return std::unexpected(manifest.error());
  Read read;
  if (!*manifest) return read;
  for (const checkpoint::FileEntry& file : (*manifest)->files) {
    checkpoint::FileReader reader(disk, std::filesystem::path(k_directory) / checkpoint::file_name(file.number), file,
                                  store_id);
    auto done = reader.read([&](const checkpoint::Record& record) -> Result<void> {
      read[{record.space, std::string(record.key), record.seq}] = record.value;
      return {};
    });
    if (!done) return std::unexpected(done.error());
  }
  return read;
}

/// A store that was killed, with a checkpoint of several files, of which some were
/// replaced, and a log behind it.
///
/// Thread safety: *confined*.
class SmallCheckpoint {
 public:
  explicit SmallCheckpoint(std::uint64_t seed) {
    Random random(seed);
    SimulatedDisk disk;
    Store store = must(store::Access::open_unchecked(options(), disk));
    store::Access::core(store).checkpointer().set_part_bytes(700);
    const auto scribble = [&](int writes) {
      for (int i = 0; i < writes; ++i) {
        Space space = must(store.space(random.one_in(3) ? "events" : "accounts"));
        const std::string key = "key" + std::to_string(random.below(40));
        if (random.one_in(5)) {
          (void)must(space.erase(key));
        } else {
          must(space.put(key, std::string(random.skewed(60), static_cast<char>(random()))));
        }
      }
    };
    scribble(80);
    must(must(store.space("events")).put("long", std::string(5'000, 'l')));
    must(store.checkpoint());
    scribble(40);
    must(store.checkpoint());
    scribble(10);
    must(store.sync());
    keys_ = keys_of(store);
    disk_ = disk.killed();
    store_id_ = must(wal::read_identity(*disk_, k_directory))->store_id;
    for (const std::string& name : disk_->names()) {
      if (name == checkpoint::k_manifest_file || name.starts_with(checkpoint::k_file_prefix)) names_.push_back(name);
    }
    require(names_.size() >= 4, "a small checkpoint has fewer files than it should");
    require(compressed_blocks() == 1, "a small checkpoint has other than one compressed block");
    read_ = must(read_back(*disk_, store_id_));
    require(!read_.empty(), "a small checkpoint holds nothing");
    const auto copy = disk_->killed();
    require(store_holds(*copy) == "", "the undamaged checkpoint: " + store_holds(*copy));
  }

  [[nodiscard]] SimulatedDisk& disk() { return *disk_; }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// True when it is refused, false when all is there. Throws `Found` otherwise.
  [[nodiscard]] bool refused(bool with_store) {
    const auto read = read_back(*disk_, store_id_);
    if (!read) check_refusal(read.error());
    // Without a manifest it is the log that tells that there was one.
    const bool gone = read && read->empty();
    if (read && !gone) require(*read == read_, "reads back what was not written");
    if (!with_store && !gone) return !read;
    const auto copy = disk_->killed();
    auto opened = store::Access::open_unchecked(options(), *copy);
    if (!opened) {
      check_refusal(opened.error());
      return true;
    }
    // Without a manifest it may be that the log is still there, whole.
    require(read.has_value(), "a store opens from what is refused");
    const std::string differs = keys_of(*opened) == keys_ ? "" : "a store opens with other content";
    require(differs.empty(), differs);
    return false;
  }

 private:
  [[nodiscard]] int compressed_blocks() const {
    int blocks = 0;
    for (const std::string& name : names_) {
      const auto& bytes = disk_->bytes(name);
      for (std::size_t at = 0; at < bytes.size(); at += base::k_block_bytes) {
        const auto header = checkpoint::decode_block_header(std::span(bytes).subspan(at));
        if (header && (header->flags & checkpoint::BlockHeader::k_compressed) != 0) ++blocks;
      }
    }
    return blocks;
  }

  [[nodiscard]] std::string store_holds(SimulatedDisk& disk) const {
    Store store = must(store::Access::open_unchecked(options(), disk));
    return keys_of(store) == keys_ ? "" : "other content";
  }

  static void check_refusal(const Error& error) {
    const auto says = [&error](std::string_view words) { return error.message.contains(words); };
    const bool typed = error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported;
    require(typed, "fails with " + test::describe(error) + " where corrupt is due");
    require(says("/simulated"), "names no file: " + error.message);
    require(says("restore") || says("move ") || says("newer") || says("open "),
            "says not what to do: " + error.message);
  }

  std::unique_ptr<SimulatedDisk> disk_;
  std::vector<std::string> names_;
  std::uint64_t store_id_ = 0;
  Keys keys_;
  Read read_;
};

/// Does one damage after the other.
///
/// Thread safety: *confined*.
class Course {
 public:
  Course(std::uint64_t seed, const Budget& budget,
         const std::function<void(const std::string&, const std::string&)>& found)
      : random_(seed), small_(seed), other_(~seed), budget_(budget), found_(found) {}

  CheckpointVerdicts run() {
    for (const std::string& name : small_.names()) {
      flip(name);
      cut(name);
      move(name);
    }
    return verdicts_;
  }

 private:
  void flip(const std::string& name) {
    auto& bytes = small_.disk().bytes(name);
    for (std::size_t bit = 0; bit < 8 * bytes.size() && budget_.in_time(); ++bit) {
      const std::byte mask = std::byte{1} << (bit % 8);
      bytes[bit / 8] ^= mask;
      look(verdicts_.flips, random_.one_in(k_one_flip_in),
           [&] { return name + " bit " + std::to_string(bit) + " flipped"; });
      bytes[bit / 8] ^= mask;
    }
  }

  void cut(const std::string& name) {
    const std::vector<std::byte> whole = small_.disk().bytes(name);
    const std::size_t step = name == checkpoint::k_manifest_file ? 1 : 64;
    for (std::size_t size = 0; size < whole.size() && budget_.in_time(); size += step) {
      small_.disk().bytes(name).resize(size);
      look(verdicts_.truncations, true, [&] { return name + " cut to " + std::to_string(size) + " bytes"; });
      small_.disk().put(name, whole);
    }
  }

  void move(const std::string& name) {
    const std::vector<std::byte> whole = small_.disk().bytes(name);
    const auto look_at = [&](const std::string& what) {
      look(verdicts_.moves, true, [&] { return name + what; });
      small_.disk().put(name, whole);
    };
    small_.disk().drop(name);
    look_at(" missing");
    for (const std::string& from : small_.names()) {
      if (from == name) continue;
      small_.disk().put(name, small_.disk().bytes(from));
      look_at(" replaced by " + from);
    }
    for (const std::string& from : other_.names()) {
      small_.disk().put(name, other_.disk().bytes(from));
      look_at(" replaced by " + from + " of another store");
    }
  }

  template <class What>
  void look(std::uint64_t& kind, bool with_store, const What& what) {
    try {
      const bool refused = small_.refused(with_store);
      ++kind;
      ++(refused ? verdicts_.refused : verdicts_.harmless);
    } catch (const std::exception& error) {
      found_(what(), error.what());
    }
  }

  Random random_;
  SmallCheckpoint small_;
  SmallCheckpoint other_;
  const Budget& budget_;
  const std::function<void(const std::string&, const std::string&)>& found_;
  CheckpointVerdicts verdicts_;
};

}  // namespace

CheckpointVerdicts damage_checkpoint(std::uint64_t seed, const Budget& budget,
                                     const std::function<void(const std::string&, const std::string&)>& found) {
  return Course(seed, budget, found).run();
}

}  // namespace actable::lab::rot

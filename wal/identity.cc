#include "wal/identity.h"

#include "base/control_record.h"
#include "base/park.h"
#include "base/simulation.h"
#include "wal/format.h"

#include <array>
#include <exception>
#include <new>
#include <span>
#include <string_view>
#include <vector>

namespace actable::wal {
namespace {

// "ACTABLE1".
constexpr std::uint64_t k_magic = 0x31454c4241544341;
constexpr std::size_t k_file_bytes_max = 4096;

std::vector<std::byte> encode(const Identity& identity) {
  msgpack::sbuffer packed;
  msgpack::pack(packed, std::array<std::uint64_t, 5>{identity.format_version, identity.store_id, identity.hash_seed,
                                                     identity.first_generation, identity.first_frame});
  return base::seal_control_record(k_magic, std::span(packed.data(), packed.size()));
}

Result<Identity> decode(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const auto damaged = [&path](std::string_view what, std::size_t offset) {
    return fail(ErrorCode::corrupt, path.string() + ": " + std::string(what) + " at offset " + std::to_string(offset) +
                                        "; restore this file from a backup of the directory");
  };
  const auto body = base::open_control_record(k_magic, bytes);
  if (!body) {
    return damaged(body.error().offset == 0 ? "this is no store's identity, damaged" : body.error().what,
                   body.error().offset);
  }
  try {
    const auto unpacked = base::unpack_fields(*body);
    const auto fields = unpacked.get().as<std::vector<std::uint64_t>>();
    if (fields.empty()) return damaged("no fields", base::k_control_head_bytes);
    if (fields[0] > k_format_version) {
      return fail(ErrorCode::unsupported, path.string() + ": written in format " + std::to_string(fields[0]) +
                                              ", this build reads up to " + std::to_string(k_format_version) +
                                              "; open it with a newer version");
    }
    if (fields.size() < 5) return damaged("fields missing", base::k_control_head_bytes);
    return Identity{static_cast<std::uint32_t>(fields[0]), fields[1], fields[2], fields[3], fields[4]};
  } catch (const std::bad_alloc&) {
    // Says nothing about the bytes.
    throw;
  } catch (const std::exception&) {
    return damaged("fields cannot be read", base::k_control_head_bytes);
  }
}

}  // namespace

Identity make_identity() { return {k_format_version, base::random_word(), base::random_word(), 1, 1}; }

Result<void> write_identity(base::FileSystem& files, const std::filesystem::path& directory, const Identity& identity) {
  const std::filesystem::path path = directory / k_identity_file;
  std::filesystem::path aside = path;
  aside += ".new";
  (void)files.remove(aside);  // Left by a crash, if it is there.
  auto file = files.open(aside, {.create = true, .write = true, .direct = false});
  if (!file) return std::unexpected(file.error());
  // An empty file aside, which the next writing has to replace.
  ACTABLE_FAIL_POINT("wal.identity.created");
  const std::vector<std::byte> bytes = encode(identity);
  if (auto written = (*file)->write(0, bytes); !written) return written;
  // Whole, and perhaps not after a crash of the machine.
  ACTABLE_FAIL_POINT("wal.identity.written");
  if (auto synced = (*file)->sync(); !synced) return synced;
  // The log is there and has no identity, or the one before.
  ACTABLE_FAIL_POINT("wal.identity.synced");
  if (auto renamed = files.rename(aside, path); !renamed) return renamed;
  // There is a store from here on, as far as the directory keeps the name.
  ACTABLE_FAIL_POINT("wal.identity.renamed");
  return files.sync_directory(directory);
}

Result<std::optional<Identity>> read_identity(base::FileSystem& files, const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / k_identity_file;
  auto file = files.open(path, {});
  if (!file) {
    if (file.error().code == ErrorCode::not_found) return std::nullopt;
    return std::unexpected(file.error());
  }
  std::vector<std::byte> bytes(k_file_bytes_max);
  auto read = (*file)->read(0, bytes);
  if (!read) return std::unexpected(read.error());
  bytes.resize(*read);
  auto identity = decode(bytes, path);
  if (!identity) return std::unexpected(identity.error());
  return *identity;
}

}  // namespace actable::wal

#pragma once

#include <actable/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

/// The words for what the system refused on a file: what failed, on which file,
/// what the system said, and what the reader can do about it.
namespace actable::base {

/// `what` stands between "cannot" and the path: "open", "sync".
[[nodiscard]] Error file_error(ErrorCode code, std::string_view what, const std::filesystem::path& path,
                               int system_error) noexcept;

/// A write of which nothing is known to have arrived.
[[nodiscard]] Error write_error(const std::filesystem::path& path, std::uint64_t offset,
                                std::span<const std::byte> bytes, int system_error) noexcept;

/// A write of which the first `written` bytes arrived and the rest did not.
[[nodiscard]] Error short_write_error(const std::filesystem::path& path, std::uint64_t offset,
                                      std::span<const std::byte> bytes, std::size_t written) noexcept;

}  // namespace actable::base

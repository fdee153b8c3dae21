#include "examples/packages/package_index.h"

#include <actable/options.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

namespace packages {

using actable::ErrorCode;
using actable::Result;

namespace {

/// Takes the next line off `rest`, its end included.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
  rest.remove_prefix(line.size());
  return line;
}

std::string_view without_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// The value of the first line that begins with `field`, which ends in a
/// colon; empty where there is none.
std::string_view field_of(std::string_view stanza, std::string_view field) {
  while (!stanza.empty()) {
    std::string_view line = without_end(take_line(stanza));
    if (!line.starts_with(field)) continue;
    line.remove_prefix(field.size());
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return line.substr(first, line.find_last_not_of(" \t") - first + 1);
  }
  return {};
}

std::string at(std::string_view source, std::size_t line) {
  return std::string(source) + ":" + std::to_string(line) + ": ";
}

Result<void> check(const Package& package, std::string_view source) {
  if (package.key.empty()) {
    return actable::fail(ErrorCode::invalid_argument,
                         at(source, package.line) +
                             "this stanza has no Package field: the file must be the output of `apt-cache dumpavail`");
  }
  if (package.key.size() > actable::k_key_bytes_max || package.stanza.size() > actable::k_value_bytes_max) {
    return actable::fail(ErrorCode::too_large, at(source, package.line) +
                                                   "this stanza is longer than a value of a store, or its name than "
                                                   "a key: remove it from the file");
  }
  return {};
}

std::string full_key(const Package& package) {
  std::string key = package.key;
  key += ':';
  key += field_of(package.stanza, "Architecture:");
  key += '=';
  key += field_of(package.stanza, "Version:");
  return key;
}

/// Gives records that share a name keys of their own; returns how many do.
std::size_t tell_apart(std::vector<Package>& packages) {
  std::unordered_map<std::string, std::size_t> records_of;
  for (const Package& package : packages) ++records_of[package.key];
  if (records_of.size() == packages.size()) return 0;

  std::unordered_set<std::string> taken;
  std::vector<Package*> sharing;
  for (Package& package : packages) {
    if (records_of[package.key] == 1) {
      taken.insert(package.key);
    } else {
      sharing.push_back(&package);
    }
  }
  for (Package* package : sharing) {
    const std::string key = full_key(*package);
    package->key = key;
    for (std::size_t n = 2; !taken.insert(package->key).second; ++n) package->key = key + '#' + std::to_string(n);
  }
  return sharing.size();
}

}  // namespace

Result<PackageIndex> PackageIndex::parse(std::string text, std::string_view source) {
  PackageIndex index(std::make_unique<const std::string>(std::move(text)));
  std::string_view rest = *index.text_;
  std::size_t line_number = 1;
  while (!rest.empty()) {
    const char* const begin = rest.data();
    const std::size_t begin_line = line_number;
    std::size_t bytes = 0;
    bool blank = false;
    while (!rest.empty() && !blank) {
      const std::string_view line = take_line(rest);
      blank = without_end(line).empty();
      if (!blank) bytes += line.size();
      ++line_number;
    }
    if (bytes == 0) continue;
    const std::string_view stanza(begin, bytes);
    Package package{std::string(field_of(stanza, "Package:")), stanza, begin_line};
    if (const Result<void> checked = check(package, source); !checked) return std::unexpected(checked.error());
    index.packages_.push_back(std::move(package));
  }
  index.shared_names_ = tell_apart(index.packages_);
  for (const Package& package : index.packages_) index.payload_bytes_ += package.key.size() + package.stanza.size();
  return index;
}

Result<PackageIndex> PackageIndex::read(const std::filesystem::path& path) {
  const auto refused = [&path] {
    return actable::fail(ErrorCode::io_error, "cannot read " + path.string() + ": " + std::strerror(errno));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return refused();
  std::string text;
  std::string block(std::size_t{1} << 20, '\0');
  while (const std::size_t bytes = std::fread(block.data(), 1, block.size(), file.get())) {
    text.append(block, 0, bytes);
  }
  if (std::ferror(file.get()) != 0) return refused();
  return parse(std::move(text), path.string());
}

}  // namespace packages

// Entries as msgpack, one behind the other.

#include "debug/document.h"
#include "shell/dump_format.h"

#include <actable/options.h>

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <utility>

namespace shell {
namespace {

using actable::debug::Document;

constexpr std::string_view k_format = "actable-dump";
constexpr std::uint64_t k_version = 1;
// Of the header, and of the end.
constexpr std::size_t k_header_bytes_max = 1'024;
constexpr const char* k_no_entry = "it is no entry, which is an array of two bin, key and value, nor the dump's end";
// Around key and value: an array of two, and twice a kind and a length.
constexpr std::size_t k_entry_bytes_max = actable::k_key_bytes_max + actable::k_value_bytes_max + 11;

/// Where msgpack packs to.
struct Sink {
  std::string bytes{};
  void write(const char* data, std::size_t size) { bytes.append(data, size); }
};

/// Takes an entry from what the library reads: an array of two bin.
///
/// Thread safety: *confined*.
class EntryVisitor : public msgpack::null_visitor {
 public:
  bool visit_nil() { return other(); }
  bool visit_boolean(bool) { return other(); }
  bool visit_positive_integer(std::uint64_t) { return other(); }
  bool visit_negative_integer(std::int64_t) { return other(); }
  bool visit_float32(float) { return other(); }
  bool visit_float64(double) { return other(); }
  bool visit_str(const char*, std::uint32_t) { return other(); }
  bool visit_ext(const char*, std::uint32_t) { return other(); }
  bool start_map(std::uint32_t) { return other(); }
  bool start_array(std::uint32_t elements) {
    if (begun_ || elements != 2) return other();
    begun_ = true;
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    if (!begun_) return other();
    (bins_++ == 0 ? entry_.key : entry_.value).assign(data, size);
    return true;
  }
  void parse_error(std::size_t, std::size_t) { wrong_ = "it is no msgpack"; }
  void insufficient_bytes(std::size_t, std::size_t) { cut_short_ = true; }

  [[nodiscard]] bool cut_short() const noexcept { return cut_short_; }
  [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }
  [[nodiscard]] KeyValue entry() { return std::move(entry_); }

 private:
  bool other() {
    wrong_ = k_no_entry;
    return false;
  }

  bool begun_ = false;
  int bins_ = 0;
  bool cut_short_ = false;
  KeyValue entry_;
  std::string wrong_;
};

/// Finds where the dump's end ends: a map of two numbers.
struct EndVisitor : msgpack::null_visitor {
  bool begun = false;
  bool cut_short = false;
  bool start_map(std::uint32_t fields) { return !std::exchange(begun, true) && fields == 2; }
  bool start_array(std::uint32_t) { return false; }
  void insufficient_bytes(std::size_t, std::size_t) { cut_short = true; }
};

[[nodiscard]] bool begins_map(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  return (byte & 0xf0) == 0x80 || byte == 0xde || byte == 0xdf;
}

/// Finds where the header ends; what it holds is looked at then.
struct LengthVisitor : msgpack::null_visitor {
  bool cut_short = false;
  void insufficient_bytes(std::size_t, std::size_t) { cut_short = true; }
};

/// Thread safety: *confined*.
class MsgpackStream final : public DumpReader {
 public:
  Got<std::optional<KeyValue>> take() override {
    if (!greeted_) {
      auto greeted = greet();
      if (!greeted) return std::unexpected(std::move(greeted.error()));
      if (!*greeted) return std::nullopt;
    }
    if (over_) return rest().empty() ? Got<std::optional<KeyValue>>() : wrong("there is more behind the dump's end");
    if (rest().empty()) return ended() ? breaks_off() : Got<std::optional<KeyValue>>();
    if (begins_map(rest().front())) return take_end();
    EntryVisitor visitor;
    std::size_t taken = 0;
    if (msgpack::parse(rest().data(), rest().size(), taken, visitor)) {
      KeyValue entry = visitor.entry();
      if (const std::string what = wrong_with(entry); !what.empty()) return wrong(what);
      sum_.add(rest().substr(0, taken));
      drop(taken);
      return entry;
    }
    if (!visitor.cut_short()) return wrong(visitor.wrong());
    if (rest().size() > k_entry_bytes_max) {
      return wrong("it is longer than any entry: keys have 65535 bytes at most and values 4194304");
    }
    if (ended()) return wrong("it is cut short");
    return std::nullopt;
  }

 private:
  /// True once the header has come.
  [[nodiscard]] Got<bool> greet() {
    const std::string_view begun = rest().substr(0, k_header_bytes_max);
    LengthVisitor visitor;
    std::size_t taken = 0;
    const bool whole = !begun.empty() && msgpack::parse(begun.data(), begun.size(), taken, visitor);
    if (!whole) {
      const bool may_come = (begun.empty() || visitor.cut_short) && begun.size() < k_header_bytes_max;
      if (may_come && !ended()) return false;
      return no_dump();
    }
    constexpr actable::debug::DocumentLimits k_limits{.depth_max = 2, .elements_max = 16, .fields_max = 8};
    const auto header = actable::debug::unpack(begun.substr(0, taken), k_limits);
    if (!header || (*header)["format"].text() != k_format) return no_dump();
    const auto* const version = (*header)["version"].as<std::uint64_t>();
    if (version == nullptr || *version != k_version) {
      const std::string which = version == nullptr ? "of no version" : "of version " + std::to_string(*version);
      return failed("the dump is " + which + ", and this is for version " + std::to_string(k_version) +
                    ": use the actable-shell that wrote it");
    }
    if (header->map().size() != 2) return failed("byte 0: the header has fields that version 1 has not");
    drop(taken);
    greeted_ = true;
    return true;
  }
  /// No entry, and no more after it.
  [[nodiscard]] Got<std::optional<KeyValue>> take_end() {
    EndVisitor visitor;
    std::size_t taken = 0;
    if (!msgpack::parse(rest().data(), rest().size(), taken, visitor)) {
      if (!visitor.cut_short || rest().size() > k_header_bytes_max) return wrong(k_no_entry);
      return ended() ? wrong("it is cut short") : Got<std::optional<KeyValue>>();
    }
    constexpr actable::debug::DocumentLimits k_limits{.depth_max = 2, .elements_max = 16, .fields_max = 8};
    const auto end = actable::debug::unpack(rest().substr(0, taken), k_limits);
    if (!end) return wrong(k_no_entry);
    const auto* const entries = (*end)["entries"].as<std::uint64_t>();
    const auto* const checksum = (*end)["checksum"].as<std::uint64_t>();
    if (entries == nullptr || checksum == nullptr) return wrong(k_no_entry);
    if (*entries != sum_.entries) {
      return wrong("the dump's end says that it has " + std::to_string(*entries) + " entries, and there are " +
                   std::to_string(sum_.entries));
    }
    if (*checksum != sum_.checksum) return wrong("the entries are not those that were dumped: their checksum differs");
    drop(taken);
    over_ = true;
    return take();
  }
  [[nodiscard]] std::unexpected<Failure> breaks_off() const {
    return wrong("the dump breaks off here, behind " + std::to_string(sum_.entries) +
                 " whole entries: it has no end, so there were more, or it was not finished");
  }
  [[nodiscard]] static std::unexpected<Failure> no_dump() {
    return failed("byte 0: there is no header, which names the format " + std::string(k_format) +
                  ": this is no dump in msgpack");
  }
  [[nodiscard]] std::unexpected<Failure> wrong(const std::string& what) const {
    return failed("byte " + std::to_string(offset()) + ": " + what);
  }

  bool greeted_ = false;
  bool over_ = false;
  DumpSum sum_;
};

}  // namespace

std::string msgpack_header() {
  return actable::debug::pack(Document::Map{{"format", k_format}, {"version", k_version}});
}

std::string msgpack_end(const DumpSum& sum) {
  return actable::debug::pack(Document::Map{{"entries", sum.entries}, {"checksum", sum.checksum}});
}

std::string msgpack_entry(std::string_view key, std::string_view value) {
  Sink sink;
  sink.bytes.reserve(k_entry_bytes_max - actable::k_key_bytes_max - actable::k_value_bytes_max + key.size() +
                     value.size());
  msgpack::packer<Sink> to(sink);
  to.pack_array(2);
  for (const std::string_view bytes : {key, value}) {
    to.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    to.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  return std::move(sink.bytes);
}

std::unique_ptr<DumpReader> msgpack_reader() { return std::make_unique<MsgpackStream>(); }

}  // namespace shell

// Writes the corpus: `fuzz_seeds DIRECTORY`. The logs are real ones.

#include "checkpoint/compression.h"
#include "checkpoint/manifest.h"
#include "debug/protocol.h"
#include "store/backup_record.h"
#include "store/catalog.h"
#include "tests/lab/fuzz/directory.h"
#include "tests/lab/rot/small_log.h"

#include <actable/typed.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace actable::lab::fuzz {
namespace {

using namespace std::string_literals;

/// Thread safety: *confined*.
class Corpus {
 public:
  explicit Corpus(std::filesystem::path root) : root_(std::move(root)) {}

  void add(const std::string& target, const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories(root_ / target);
    std::ofstream file(root_ / target / name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + (root_ / target / name).string());
  }

 private:
  const std::filesystem::path root_;
};

std::string text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

void add_logs(const Corpus& corpus) {
  for (rot::SmallLog& log : rot::make_small_logs(1)) {
    // Of the states that differ in their last frames only, one.
    if (log.state.contains("idle") || log.state.contains("right after") || log.state == "closed cleanly") continue;
    const Directory directory = Directory::of(*log.disk);
    std::string name = log.state;
    std::ranges::replace(name, ' ', '-');
    std::erase(name, ',');
    corpus.add("recovery", name, text(directory.serialize()));
    corpus.add("control", "identity-" + name, "\0"s + text(directory.identity));
    if (log.state.contains("one segment")) corpus.add("frames", name, text(directory.serialize()));
  }
}

void add_records(const Corpus& corpus) {
  test::SimulatedDisk disk;
  checkpoint::Manifest manifest{.store_id = 77, .hash_seed = 5, .serial = 12, .next_space_id = 9};
  for (unsigned i = 0; i < checkpoint::k_groups; ++i) manifest.groups[i] = {i < 8 ? 3U : 0U, 100 + i, 40 - i};
  manifest.files = {{3, 8192, 2, 20, 150, 0xabcdef}};
  manifest.spaces = {{0, "", 2}, {4, "users", 18}};
  if (checkpoint::write_manifest(disk, "/simulated", manifest).error) throw std::runtime_error("no manifest");
  std::string payload;
  for (int i = 0; i < 20; ++i) payload += "a payload with a few words, ";
  Bytes frame(payload.size());
  auto compressor = test::must(checkpoint::Compressor::create(1));
  frame.resize(test::must(compressor.compress(std::as_bytes(std::span(payload)), frame)).value());
  corpus.add("control", "compressed", "\4"s + text(frame));
  corpus.add("control", "manifest", "\2"s + text(disk.bytes(checkpoint::k_manifest_file)));
  const store::BackupRecord record{
      .store_id = 77, .complete = true, .cut = 400, .files = manifest.files, .segments = {{7, 65'536, 0xfedcba}}};
  test::must(store::write_backup_record(disk, "/simulated", record));
  corpus.add("control", "backup", "\3"s + text(disk.bytes(store::k_backup_file)));
}

void add_values(const Corpus& corpus) {
  corpus.add("control", "space", "\1"s + store::encode_space(1));
  corpus.add("control", "space-of-a-later-version", "\1"s + *typed::pack(std::tuple(70'000U, "more"s, 3.5)));
  auto session = std::tuple("ada"s, std::vector{1U, 70'000U}, std::map<std::string, double>{{"chess", 0.5}}, -1);
  corpus.add("typed", "session", "\0"s + *typed::pack(session));
  corpus.add("typed", "tree", "\1\x91\x92\x91\x90\x91\x90"s);
  corpus.add("typed", "list", "\2"s + *typed::pack(std::vector<std::optional<int>>{1, std::nullopt, -3}));
  corpus.add("typed", "sessions",
             "\3"s + *typed::pack(std::map<std::string, std::vector<decltype(session)>>{{"all", {session, session}}}));
  corpus.add("typed", "string", "\4"s + *typed::pack("text"s));
  corpus.add("typed", "strings", "\5"s + *typed::pack(std::vector<std::vector<std::string>>{{"a", "b"}, {}}));
}

void add_messages(const Corpus& corpus) {
  using debug::Bytes;
  using Map = debug::Document::Map;
  const std::string request = debug::encode(debug::Request{1, "get", Map{{"space", "s"}, {"key", Bytes{"k\xff"}}}});
  corpus.add("protocol", "hello", "\0"s + debug::encode(debug::Hello{true, "actable-shell"}));
  corpus.add("protocol", "hello-of-a-later-version",
             "\0"s + debug::pack(Map{{"protocol", "actable-debug"}, {"version", 2U}, {"more", 1.5}}));
  corpus.add("protocol", "welcome", "\1"s + debug::encode(debug::Welcome{true, 42, "/directory"}));
  corpus.add("protocol", "turned-away",
             "\1"s + debug::encode(debug::Welcome{}, Error{ErrorCode::overloaded, "too many"}));
  corpus.add("protocol", "request", "\2"s + request);
  const debug::Document pairs = debug::Document::List{Bytes{"k"}, Bytes{"v"}, Bytes{"\xff"}, Bytes{""}};
  corpus.add("protocol", "put-many",
             "\2"s + debug::encode(debug::Request{2, "put_many", Map{{"space", "s"}, {"entries", pairs}}}));
  const Map part{{"space", "s"}, {"key", Bytes{"k"}}, {"offset", 70'000U}, {"value", Bytes{"part"}}, {"last", true}};
  corpus.add("protocol", "put-part", "\2"s + debug::encode(debug::Request{3, "put_part", part}));
  const debug::Document entries = debug::Document::List{debug::Document::List{Bytes{"k"}, 7U, Bytes{"v"}}};
  corpus.add("protocol", "reply", "\3"s + debug::encode(debug::Reply{1, Map{{"entries", entries}, {"more", false}}}));
  corpus.add("protocol", "error",
             "\3"s + debug::encode(debug::Reply{1, std::unexpected(Error{ErrorCode::closed, "gone"})}));
  corpus.add("protocol", "document", "\4"s + debug::pack(Map{{"a", 1.5}, {"b", -3}, {"c", debug::Document()}}));
  corpus.add("protocol", "frames", "\5\3"s + debug::frame(request) + debug::frame(request));
}

void add_options(const Corpus& corpus) {
  corpus.add("options", "usual", "\0--benchmarks=fillrandom,readrandom\0--num=1000\0--threads=2"s);
  corpus.add("options", "all",
             "\0--engines=all-found\0--ops=7\0--key_size=16\0--value_size=100\0--distribution=zipf\0"
             "--batch=4\0--seed=9\0--repeat=2"s);
  corpus.add("options", "run", "\0--rate=1e5\0--duration=0.5\0--durability=sync\0--dir=/tmp\0--json=a\0--csv=b"s);
  corpus.add("options", "help", "\0--help"s);
  corpus.add("options", "name", "\2gr\xc3\xbc\xc3\x9f\x65"s);
  std::string options = "\1"s;
  const auto put = [&options](auto value) { options.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(8U);
  for (const std::uint64_t value : {10ULL, 100ULL, 64ULL << 20, 64ULL << 20, 5'000ULL, 64ULL << 20}) put(value);
  put(std::uint8_t{2});
  corpus.add("options", "store", options);
}

}  // namespace
}  // namespace actable::lab::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "Usage: fuzz_seeds DIRECTORY\n");
    return 2;
  }
  const actable::lab::fuzz::Corpus corpus(argv[1]);
  actable::lab::fuzz::add_logs(corpus);
  actable::lab::fuzz::add_records(corpus);
  actable::lab::fuzz::add_values(corpus);
  actable::lab::fuzz::add_messages(corpus);
  actable::lab::fuzz::add_options(corpus);
  return 0;
}

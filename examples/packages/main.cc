// The main job behind ./run: loads the package index of this machine, reads it
// back, and crashes over it. Every claim it prints was checked.

#include <actable/store.h>

#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "examples/packages/arguments.h"
#include "examples/packages/child.h"
#include "examples/packages/crash.h"
#include "examples/packages/format.h"
#include "examples/packages/load.h"
#include "examples/packages/model.h"
#include "examples/packages/package_index.h"
#include "examples/packages/read_back.h"
#include "examples/packages/report.h"
#include "examples/packages/writer.h"

namespace packages {
namespace {

using actable::ErrorCode;
using actable::Result;
using actable::Seq;

Result<PackageIndex> read_index(const std::filesystem::path& path) {
  Result<PackageIndex> index = PackageIndex::read(path);
  if (index && index->packages().empty()) {
    return actable::fail(ErrorCode::invalid_argument,
                         path.string() + " lists no packages: run `apt-get update`, then `apt-cache dumpavail` again");
  }
  return index;
}

/// Makes the directory where it is missing.
Result<void> need_new_store(const Arguments& arguments) {
  std::error_code error;
  std::filesystem::create_directory(arguments.directory, error);
  if (error) {
    return actable::fail(ErrorCode::io_error, "cannot make the directory " + arguments.directory.string() + ": " +
                                                  error.message() + ": give another --dir");
  }
  if (std::filesystem::exists(arguments.store_directory(), error)) {
    return actable::fail(ErrorCode::invalid_argument,
                         arguments.store_directory().string() + " is there already: give an empty --dir");
  }
  return {};
}

/// Loads and reads back in a store that is closed cleanly. Returns the numbers
/// of the loaded records.
Result<std::vector<Seq>> load_and_read(const Arguments& arguments, const PackageIndex& index, Report& report) {
  Result<actable::Store> store = actable::Store::open({.directory = arguments.store_directory()});
  if (!store) return std::unexpected(store.error());
  Result<actable::Space> space = store->space(k_space_name);
  if (!space) return std::unexpected(space.error());
  Result<std::vector<Seq>> seqs = load(*store, *space, index, report);
  if (!seqs) return seqs;
  const Result<void> read = read_back(*space, index, arguments.seed, report);
  if (!read) return std::unexpected(read.error());
  const Result<void> closed = store->close();
  if (!closed) return std::unexpected(closed.error());
  return seqs;
}

Result<void> run_job(const Arguments& arguments) {
  const auto begin = Clock::now();
  const Result<void> ready = need_new_store(arguments);
  if (!ready) return ready;
  const Result<PackageIndex> index = read_index(arguments.index);
  if (!index) return std::unexpected(index.error());
  std::printf("%s packages from %s, %s of them with a name that others have too; seed %llu\n\n",
              grouped(index->packages().size()).c_str(), arguments.index.c_str(),
              grouped(index->shared_names()).c_str(), static_cast<unsigned long long>(arguments.seed));

  Report report;
  const Result<std::vector<Seq>> seqs = load_and_read(arguments, *index, report);
  if (!seqs) return std::unexpected(seqs.error());
  Model model(*index, *seqs);
  const CrashSite site{arguments.index, arguments.directory, arguments.store_directory(), arguments.seed};
  const Result<void> crashed = crash_and_verify(site, *index, model, report);
  if (!crashed) return crashed;

  std::printf("\nEvery check held, in %s:\n\n", duration_text(Clock::now() - begin).c_str());
  report.print();
  std::printf(
      "\nNext:\n"
      "  ./build/release/benchmarks/actable-bench --benchmarks=fillrandom,readrandom --num=1000000\n"
      "  examples/hello.cc for ten lines of code, and ./test for all the checks\n");
  return {};
}

Result<void> run_writer(const Arguments& arguments) {
  const Result<PackageIndex> index = read_index(arguments.index);
  if (!index) return std::unexpected(index.error());
  return write_until_killed(arguments.store_directory(), arguments.writer_journal, *index);
}

int run(std::span<char* const> words) {
  const Result<Arguments> arguments = parse_arguments(words);
  if (!arguments) {
    std::fprintf(stderr, "packages-job: %s\n%s", arguments.error().message.c_str(), k_usage);
    return 2;
  }
  if (arguments->help) {
    std::printf("%s", k_usage);
    return 0;
  }
  const bool writer = !arguments->writer_journal.empty();
  if (!writer) handle_interrupts();
  const Result<void> done = writer ? run_writer(*arguments) : run_job(*arguments);
  if (done) return 0;
  // The job reports what its writer failed with.
  if (!writer) std::fprintf(stderr, "packages-job: %s\n", done.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace packages

int main(int argc, char** argv) {
  return packages::run(std::span<char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
}

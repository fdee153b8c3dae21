// Commands that move the content of a space out of a store and into one.

#include "shell/command.h"
#include "shell/dump_file.h"
#include "shell/dump_format.h"
#include "shell/frames.h"
#include "shell/load_target.h"
#include "shell/store_files.h"
#include "shell/text.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace shell {
namespace {

using actable::debug::Bytes;
using actable::debug::Document;
using Clock = std::chrono::steady_clock;

[[nodiscard]] std::string keys_text(std::uint64_t keys) { return count_text(keys) + (keys == 1 ? " key" : " keys"); }

/// Shows how far a command has come, a few times a second.
///
/// Thread safety: *confined*.
class Progress {
 public:
  explicit Progress(Screen& screen) : screen_(screen) {}
  template <class Text>
  void show(Text&& text) {
    const auto now = Clock::now();
    if (now - shown_at_ < std::chrono::milliseconds(100)) return;
    shown_at_ = now;
    screen_.progress(text());
  }

 private:
  Screen& screen_;
  Clock::time_point shown_at_{};
};

[[nodiscard]] Got<DumpFormat> format_of(std::string_view command, const std::string& name) {
  if (const auto format = dump_format(name)) return *format;
  return failed(std::string(command) + ": the format is json or msgpack, not " + as_word(name), k_status_not_asked);
}

/// What is to be dumped, as what, and where to: standard output where `file` is empty.
struct Wanted {
  std::string space{};
  DumpFormat format = DumpFormat::json;
  std::string file{};
};

[[nodiscard]] Got<Wanted> wanted(const Words& arguments) {
  Wanted wanted{.space = arguments[0]};
  std::size_t at = 1;
  if (at < arguments.size() && arguments[at] != "to") {
    const auto format = format_of("dump", arguments[at++]);
    if (!format) return std::unexpected(format.error());
    wanted.format = *format;
  }
  if (at == arguments.size()) return wanted;
  if (arguments[at] != "to" || at + 2 != arguments.size() || arguments[at + 1].empty()) {
    return failed("dump: behind the format stands `to FILE` or nothing, for example: dump users msgpack to users.dump",
                  k_status_not_asked);
  }
  wanted.file = arguments[at + 1];
  return wanted;
}

/// One dump of a space on its way.
///
/// Thread safety: *confined*.
class Dump {
 public:
  Dump(Context& context, Wanted wanted)
      : context_(context), screen_(context.screen()), wanted_(std::move(wanted)), progress_(screen_) {}

  [[nodiscard]] Got<void> run() {
    if (auto open = open_output(); !open) return open;
    auto done = context_.live() ? of_process() : of_files();
    if (done && !failure_.message.empty()) done = std::unexpected(failure_);
    if (done) done = end();
    screen_.progress("");
    if (!done) return std::unexpected(explained(std::move(done.error())));
    if (!wanted_.file.empty()) tell();
    return {};
  }

 private:
  [[nodiscard]] Got<void> open_output() {
    const bool to_terminal = wanted_.file.empty() && isatty(STDOUT_FILENO) != 0;
    screen_.begin_data(to_terminal);
    if (!wanted_.file.empty()) {
      auto file = DumpOutput::new_file(wanted_.file);
      if (!file) return std::unexpected(std::move(file.error()));
      output_ = *std::move(file);
    } else if (wanted_.format == DumpFormat::msgpack && (to_terminal || screen_.json())) {
      return failed(std::string("dump: msgpack is not for ") + (to_terminal ? "a terminal" : "output that is JSON") +
                        ": have it written `to FILE`",
                    k_status_not_asked);
    } else if (!to_terminal) {
      output_ = DumpOutput::standard_output();
    }
    return {};
  }

  [[nodiscard]] Got<void> of_process() {
    const auto spaces = context_.ask("spaces");
    if (!spaces) return std::unexpected(spaces.error());
    for (const Document& space : spaces->list()) {
      if (space["name"].text() == wanted_.space) expected_ = space["keys"].real();
    }
    bool begun = false;
    return context_.walk("scan", {{"space", wanted_.space}, {"prefix", Bytes{""}}, {"limit", std::uint64_t{1} << 40}},
                         [&](const Document& step) {
                           if (!std::exchange(begun, true) && !begin()) return false;
                           if (step["entries"].as<Document::List>() == nullptr || step["more"].as<bool>() == nullptr) {
                             return makes_no_sense();
                           }
                           return std::ranges::all_of(step["entries"].list(),
                                                      [this](const Document& entry) { return take(entry); });
                         });
  }

  /// False, and a failure: what the process answered is no part of a walk.
  [[nodiscard]] bool makes_no_sense() {
    failure_ = {.message =
                    "what the process answered is not what a space holds: it is of another version, or is no "
                    "process of a store"};
    return false;
  }

  /// As the process sends it: key, number, value.
  [[nodiscard]] bool take(const Document& entry) {
    const auto* const parts = entry.as<Document::List>();
    if (parts == nullptr || parts->size() != 3) return makes_no_sense();
    const auto* const key = (*parts)[0].as<Bytes>();
    const auto* const value = (*parts)[2].as<Bytes>();
    if (key == nullptr || value == nullptr) return makes_no_sense();
    if (!wrong_with({key->bytes, value->bytes}).empty()) return makes_no_sense();
    return take(key->bytes, value->bytes);
  }

  [[nodiscard]] Got<void> of_files() {
    bool begun = false;
    auto done = context_.files().each(wanted_.space, [&](std::string_view key, std::string_view value) {
      return (std::exchange(begun, true) || begin()) && take(key, value);
    });
    // Of a space without keys, too, there is a header.
    if (done && !begun) (void)begin();
    return done;
  }

  [[nodiscard]] bool begin() {
    const std::string header = dump_header(wanted_.format);
    return header.empty() || write(header);
  }

  /// All entries are written.
  [[nodiscard]] Got<void> end() {
    const std::string trailer = dump_end(wanted_.format, sum_);
    if (!trailer.empty() && !write(trailer) && !failure_.message.empty()) return std::unexpected(failure_);
    return output_ == nullptr ? Got<void>() : output_->finish();
  }

  [[nodiscard]] bool take(std::string_view key, std::string_view value) {
    const std::string entry = dump_entry(wanted_.format, key, value);
    if (!write(entry)) return false;
    sum_.add(entry);
    ++keys_;
    progress_.show([this] {
      const auto keys = static_cast<double>(keys_);
      return (expected_ == 0 ? std::string() : bar_text(keys, expected_) + ", ") + keys_text(keys_) + ", " +
             bytes_text(static_cast<double>(bytes_));
    });
    return true;
  }

  /// False: there is a failure, or nobody wants more.
  [[nodiscard]] bool write(std::string_view bytes) {
    bytes_ += bytes.size();
    // A terminal has pages, and lines without their ends.
    if (output_ == nullptr) return screen_.line(bytes.substr(0, bytes.size() - 1));
    auto written = output_->write(bytes);
    if (!written) failure_ = std::move(written.error());
    return written && *written;
  }

  [[nodiscard]] Failure explained(Failure failure) const {
    if (failure.status == k_status_interrupted) return failure;
    if (!wanted_.file.empty()) failure.message += "; the file " + wanted_.file + " was not finished and is removed";
    if (wanted_.file.empty() && keys_ > 0) failure.message += "; " + keys_text(keys_) + " had been written";
    return failure;
  }

  void tell() {
    if (screen_.json()) {
      screen_.line(json_text(Document::Map{{"keys", keys_}, {"bytes", bytes_}, {"file", wanted_.file}}));
    } else {
      screen_.line(keys_text(keys_) + ", " + bytes_text(static_cast<double>(bytes_)) + " in " + wanted_.file);
    }
  }

  Context& context_;
  Screen& screen_;
  const Wanted wanted_;
  Progress progress_;
  // Null: the screen.
  std::unique_ptr<DumpOutput> output_;
  Failure failure_;
  // Keys of the space when it began; 0 where nobody knows.
  double expected_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t bytes_ = 0;
  DumpSum sum_;
};

Got<void> dump(Context& context, const Words& arguments) {
  if (arguments.empty()) return context.live() ? for_closed_files("dump") : dump_frames(context);
  auto what = wanted(arguments);
  if (!what) return std::unexpected(std::move(what.error()));
  return Dump(context, *std::move(what)).run();
}

/// One load into a space on its way.
///
/// Thread safety: *confined*.
class Load {
 public:
  Load(Context& context, DumpFormat format, DumpInput input)
      : context_(context), reader_(DumpReader::make(format)), input_(std::move(input)), progress_(context.screen()) {}

  [[nodiscard]] Got<void> run(const std::string& space, IfMissing if_missing) {
    Screen& screen = context_.screen();
    auto target = LoadTarget::open(context_, space, if_missing);
    if (!target) {
      // Who interrupts cannot see whether it has begun.
      if (target.error().status == k_status_interrupted) target.error().message += "; 0 keys had been loaded";
      return std::unexpected(std::move(target.error()));
    }
    target_ = *std::move(target);
    auto put = put_all();
    // What came before the one that is wrong is in the store, and on disk.
    const bool interrupted_now = !put && put.error().status == k_status_interrupted;
    if (put || (wrong_input_ && !interrupted_now)) {
      auto finished = target_->finish();
      screen.progress("");
      if (put && finished) return tell(*finished);
      if (!finished) put = std::unexpected(std::move(finished.error()));
    }
    return std::unexpected(explained(std::move(put.error())));
  }

 private:
  [[nodiscard]] Got<void> put_all() {
    while (true) {
      auto piece = input_.read();
      if (!piece) return wrong_input(std::move(piece.error()));
      const bool over = piece->empty();
      if (over) reader_->end();
      reader_->append(*piece);
      while (true) {
        auto entry = reader_->take();
        if (!entry) return wrong_input(std::move(entry.error()));
        if (!*entry) break;
        if (auto put = target_->put(**std::move(entry)); !put) return put;
        progress_.show([this] { return progress_text(); });
      }
      if (over) return {};
    }
  }

  [[nodiscard]] std::unexpected<Failure> wrong_input(Failure failure) {
    wrong_input_ = true;
    failure.message.insert(0, failure.status == k_status_interrupted ? "" : input_.name() + ": ");
    return std::unexpected(std::move(failure));
  }

  [[nodiscard]] std::string progress_text() const {
    const auto read = static_cast<double>(input_.bytes_read());
    const auto all = static_cast<double>(input_.bytes_in_all().value_or(0));
    const std::string bar = all == 0 ? bytes_text(read) : bar_text(read, all) + " of " + bytes_text(all);
    return bar + ", " + keys_text(target_->stored()) + " loaded";
  }

  [[nodiscard]] Failure explained(Failure failure) const {
    // A request that was not answered may have been done.
    const char* const least = context_.live() && !wrong_input_ ? "at least " : "";
    failure.message += "; " + std::string(least) + keys_text(target_->stored()) + " had been loaded";
    return failure;
  }

  [[nodiscard]] Got<void> tell(actable::Seq durable) {
    Screen& screen = context_.screen();
    std::string remark = target_->remark();
    if (target_->stored() == 0) {
      remark = input_.name() + " has no entries" + (remark.empty() ? "" : "; " + remark);
    }
    if (screen.json()) {
      screen.line(json_text(Document::Map{{"keys", target_->stored()}, {"durable", durable}, {"remark", remark}}));
    } else {
      screen.line(keys_text(target_->stored()) + " loaded" + (remark.empty() ? "" : "; " + remark));
    }
    return {};
  }

  Context& context_;
  const std::unique_ptr<DumpReader> reader_;
  DumpInput input_;
  Progress progress_;
  std::unique_ptr<LoadTarget> target_;
  bool wrong_input_ = false;
};

Got<void> load(Context& context, const Words& arguments) {
  const auto format = format_of("load", arguments[1]);
  if (!format) return std::unexpected(format.error());
  const bool makes = arguments.size() > 2 && arguments[2] == "new";
  const Words file(arguments.begin() + (makes ? 3 : 2), arguments.end());
  if (file.size() > 1) {
    return failed("load: behind the format stands `new`, or a FILE, or both: load users json new users.json",
                  k_status_not_asked);
  }
  const bool from_file = !file.empty() && file[0] != "-";
  if (!from_file && !context.settings().input_is_free) {
    return failed("load: commands are read from standard input here: give a FILE, or start actable-shell with -c",
                  k_status_not_asked);
  }
  auto input = DumpInput::open(from_file ? file[0] : std::string());
  if (!input) return std::unexpected(std::move(input.error()));
  // Who types entries would have progress in their midst.
  context.screen().begin_data(!from_file && isatty(STDIN_FILENO) != 0);
  return Load(context, *format, *std::move(input)).run(arguments[0], makes ? IfMissing::make : IfMissing::fail);
}

using Offers = Command::Offers;

constexpr Command k_commands[] = {
    {.name = "dump",
     .arguments = "[SPACE [FORMAT] [to FILE]]",
     .what = "The keys and values of a space, for `load`; of closed files every frame",
     .example = "dump users msgpack to users.dump",
     .more = "FORMAT is json, one line for each key ({\"key\": ..., \"value\": ...}; what is no UTF-8 is base64, as\n"
             "key_base64 and value_base64), or msgpack. Written to standard output, or to a FILE that is not there\n"
             "yet: actable-shell DIR -c \"dump users\" > users.json\n"
             "Of a running process: each key that is there throughout, once; what is written meanwhile may be in it\n"
             "or not. Takes some 15 MB of memory; where values have megabytes, 30 MB, and 150 MB as JSON.\n"
             "Of closed files: the log is read three times, and all keys of the space are kept in memory, the values\n"
             "are not.\n"
             "A FILE has its name when all of it is on disk; until then it is called FILE.part-XXXXXX. A dump in\n"
             "msgpack has an end, so that `load` knows one that was cut short. JSON lines have none: of these only\n"
             "the exit status of `dump` tells.\n"
             "The space is the one that is named here, whichever was chosen with `use`.\n"
             "Without a space, of closed files only: the log frame by frame, in readable form; where a space was\n"
             "chosen (`use`, `in`), only the records of that one.",
     .arguments_max = 4,
     .offers = Offers::spaces,
     .names_space = true,
     .run = dump},
    {.name = "load",
     .arguments = "SPACE FORMAT [new] [FILE]",
     .what = "Puts what `dump` wrote into a space; on disk when it returns",
     .example = "load users msgpack users.dump",
     .more = "FORMAT is json or msgpack, as of `dump`. Without FILE, with -c, from standard input:\n"
             "actable-shell DIR --allow-writes -c \"load users json\" < users.json\n"
             "Ends at the first entry that is wrong, and says where; those before it are in the store then. So it is\n"
             "with a dump in msgpack that was cut short. JSON lines have no end: of those each whole line counts, and\n"
             "nobody can tell whether more were to come. An input without entries is no fault (exit status 0), and is\n"
             "said to be one. Keys that the space has and the input has not stay as they are.\n"
             "Into a running process: the space must be there; takes some 15 MB of memory, and up to 100 MB where\n"
             "values have megabytes.\n"
             "Into closed files: the store is opened, which takes memory for all that it holds, and cannot be broken\n"
             "off, and is closed again. `new` makes the space, logged, with the first entry; it must not be there. A\n"
             "service that has a space of that name in memory only does not start then. A file called new is ./new.",
     .arguments_min = 2,
     .arguments_max = 4,
     .writes = true,
     .offers = Offers::spaces,
     .names_space = true,
     .run = load},
};

}  // namespace

std::span<const Command> transfer_commands() { return k_commands; }

}  // namespace shell

#include "shell/prompt.h"

#include "debug/printable.h"
#include "shell/command.h"
#include "shell/interrupt.h"

#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

namespace shell {
namespace {

constexpr int k_history_lines = 1'000;

/// libedit's line editor with our completion, history and way of reading keys.
///
/// Thread safety: *confined*.
class Editor {
 public:
  explicit Editor(Context& context)
      : context_(context),
        editor_(el_init("actable-shell", stdin, stdout, stderr), el_end),
        history_(history_init(), history_end) {
    el_set(editor_.get(), EL_CLIENTDATA, this);
    el_set(editor_.get(), EL_PROMPT, &Editor::prompt);
    el_set(editor_.get(), EL_EDITOR, "emacs");
    // Ctrl-C is ours: see `read_key`.
    el_set(editor_.get(), EL_SIGNAL, 0);
    el_set(editor_.get(), EL_GETCFN, &Editor::read_key);
    HistEvent event{};
    history(history_.get(), &event, H_SETSIZE, k_history_lines);
    history(history_.get(), &event, H_SETUNIQUE, 1);
    el_set(editor_.get(), EL_HIST, history, history_.get());
    el_set(editor_.get(), EL_ADDFN, "complete", "Complete the word", &Editor::complete);
    el_set(editor_.get(), EL_BIND, "^I", "complete", nullptr);
    el_set(editor_.get(), EL_BIND, "^R", "em-inc-search-prev", nullptr);
    if (!history_file_.empty()) history(history_.get(), &event, H_LOAD, history_file_.c_str());
  }
  ~Editor() {
    if (history_file_.empty()) return;
    HistEvent event{};
    // Values that were put are in it: for nobody else's eyes.
    const mode_t before = umask(077);
    history(history_.get(), &event, H_SAVE, history_file_.c_str());
    umask(before);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  enum class Read { line, interrupted, end };
  [[nodiscard]] Read read(std::string& line) {
    interrupted = false;
    prompt_ = make_prompt();
    int bytes = 0;
    const char* const text = el_gets(editor_.get(), &bytes);
    if (text == nullptr || bytes <= 0) return interrupted ? Read::interrupted : Read::end;
    line.assign(text, static_cast<std::size_t>(bytes));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) {
      HistEvent event{};
      history(history_.get(), &event, H_ENTER, line.c_str());
    }
    return Read::line;
  }

 private:
  [[nodiscard]] static Editor& of(EditLine* editor) {
    Editor* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *self;
  }

  [[nodiscard]] std::string make_prompt() const {
    std::string name = context_.settings().directory.filename().string();
    if (name.empty()) name = context_.settings().directory.parent_path().filename().string();
    if (!context_.chosen_space().empty()) name += ":" + context_.chosen_space();
    return "actable " + actable::debug::printable(name) + (context_.live() ? "" : " (files)") + "> ";
  }
  static char* prompt(EditLine* editor) { return of(editor).prompt_.data(); }

  /// The next character; -1 ends the line: an interrupt, or the end of input.
  static int read_key(EditLine*, wchar_t* character) {
    std::mbstate_t state{};
    while (true) {
      // The flag is looked at again where the signal came before `poll`.
      constexpr int k_look_ms = 200;
      pollfd polled{STDIN_FILENO, POLLIN, 0};
      const int ready = poll(&polled, 1, k_look_ms);
      if (interrupted) return -1;
      if (ready <= 0) continue;
      char byte = 0;
      const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return 0;
      switch (std::mbrtowc(character, &byte, 1, &state)) {
        case static_cast<std::size_t>(-2):
          // More of the character is to come.
          continue;
        case static_cast<std::size_t>(-1):
          state = {};
          *character = static_cast<unsigned char>(byte);
          return 1;
        case 0:
          *character = L'\0';
          return 1;
        default:
          return 1;
      }
    }
  }

  static unsigned char complete(EditLine* editor, int) {
    const LineInfo* const line = el_line(editor);
    const std::string before(line->buffer, line->cursor);
    const std::vector<std::string> words = completions(of(editor).context_, before);
    if (words.empty()) return CC_REFRESH_BEEP;
    const std::size_t last_blank = before.find_last_of(" \t");
    const std::size_t begun = before.size() - (last_blank == std::string::npos ? 0 : last_blank + 1);
    std::string common = words.front();
    for (const std::string& word : words) {
      const auto differ = std::ranges::mismatch(common, word).in1;
      common.erase(differ, common.end());
    }
    if (words.size() == 1) common += ' ';
    if (common.size() > begun) {
      el_insertstr(editor, common.c_str() + begun);
      return CC_REFRESH;
    }
    std::fputc('\n', stdout);
    for (const std::string& word : words) std::printf("%s  ", word.c_str());
    std::fputs("\n", stdout);
    std::fflush(stdout);
    return CC_REDISPLAY;
  }

  [[nodiscard]] static std::string history_file() {
    const char* const home = std::getenv("HOME");
    return home == nullptr || *home == '\0' ? std::string() : std::string(home) + "/.actable_history";
  }

  Context& context_;
  const std::unique_ptr<EditLine, decltype(&el_end)> editor_;
  const std::unique_ptr<History, decltype(&history_end)> history_;
  const std::string history_file_ = history_file();
  std::string prompt_;
};

}  // namespace

int run_and_tell(Context& context, std::string_view line) {
  // The flag is not reset here: an interrupt right behind the line means the command.
  Got<void> done = run_line(context, line);
  if (const std::string& error = context.screen().write_error(); done && !error.empty()) {
    done = failed("cannot write the answer: " + error);
    // What else is asked for would not be seen.
    context.end();
  }
  if (done) return k_status_done;
  context.screen().progress("");
  std::fflush(stdout);
  complain(done.error());
  return done.error().status;
}

int run_prompt(Context& context) {
  // For what is typed; figures are written by hand.
  std::setlocale(LC_CTYPE, "");
  Editor editor(context);
  std::printf("%s. `help` lists the commands.\n",
              context.live() ? ("Looking into process " + std::to_string(context.process())).c_str()
                             : "No process serves this store: looking at its files");
  std::string line;
  while (!context.over()) {
    switch (editor.read(line)) {
      case Editor::Read::line:
        (void)run_and_tell(context, line);
        break;
      case Editor::Read::interrupted:
        std::fputs("^C\n", stdout);
        break;
      case Editor::Read::end:
        std::fputc('\n', stdout);
        context.end();
        break;
    }
  }
  return k_status_done;
}

int run_script(Context& context) {
  int worst = k_status_done;
  for (std::string line; !context.over() && std::getline(std::cin, line);) {
    const int status = run_and_tell(context, line);
    worst = std::max(worst, status);
    if (status == k_status_interrupted) break;
  }
  // While it waited for the next line, too.
  return interrupted ? k_status_interrupted : worst;
}

}  // namespace shell

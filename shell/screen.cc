#include "shell/screen.h"

#include "debug/printable.h"
#include "shell/interrupt.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

namespace shell {
namespace {

/// One key, without echo and without waiting for the end of a line; 'q' where
/// none can be had.
[[nodiscard]] char read_key() {
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0) return 'q';
  termios raw = before;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  char key = 'q';
  // An interrupt ends the command, also one that came before the question.
  while (wait_for(std::chrono::hours(1), STDIN_FILENO)) {
  }
  if (interrupted || read(STDIN_FILENO, &key, 1) != 1) key = 'q';
  tcsetattr(STDIN_FILENO, TCSANOW, &before);
  return key;
}

/// Columns that harmless text takes on a terminal: its characters.
[[nodiscard]] std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// As much of it as fits.
[[nodiscard]] std::string_view first_columns(std::string_view text, std::size_t columns) {
  if (text.size() <= columns) return text;
  std::size_t bytes = 0;
  while (bytes < text.size() && width_of(text.substr(0, bytes + 1)) <= columns) ++bytes;
  return text.substr(0, bytes);
}

[[nodiscard]] std::string padded(std::string_view text, std::size_t width, bool right) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return right ? blanks + std::string(text) : std::string(text) + blanks;
}

[[nodiscard]] const char* code_of(Screen::Style style) noexcept {
  switch (style) {
    case Screen::Style::plain:
      return "";
    case Screen::Style::heading:
      return "\x1b[1m";
    case Screen::Style::good:
      return "\x1b[32m";
    case Screen::Style::warning:
      return "\x1b[33m";
    case Screen::Style::bad:
      return "\x1b[31m";
    case Screen::Style::dim:
      return "\x1b[2m";
  }
  return "";
}

}  // namespace

void complain(const Failure& failure) {
  const char* const who = failure.status == k_status_interrupted ? "" : "actable-shell: ";
  std::fprintf(stderr, "%s%s\n", who, actable::debug::printable(failure.message).c_str());
}

Screen::Size Screen::size() {
  constexpr Size k_usual{.lines = 23, .columns = 80};
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 3 || size.ws_col == 0) return k_usual;
  return {.lines = size.ws_row - std::size_t{1}, .columns = size.ws_col};
}

void Screen::begin() noexcept {
  frame_.reset();
  progress_ = Progress::beside_answers;
  wanted_ = true;
  paging_ = settings_.pages;
  lines_ = 0;
}

bool Screen::line(const Span& text) { return line(std::vector{text}); }
bool Screen::line(const std::vector<Span>& spans) { return print(styled(spans)); }

bool Screen::lines(std::string_view text) {
  while (true) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (!print(actable::debug::printable(text.substr(0, end), actable::debug::White::lines_and_tabs))) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

bool Screen::print(const std::string& line) {
  if (!wanted_) return false;
  if (frame_) {
    if (lines_ >= frame_->lines) return true;
  } else if (paging_ && lines_ >= size().lines && lines_ > 0 && !next_page()) {
    wanted_ = false;
    return false;
  }
  ++lines_;
  const bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                       std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
  if (written) return true;
  wanted_ = false;
  if (errno != EPIPE) write_error_ = std::strerror(errno);
  return false;
}

bool Screen::next_page() {
  const std::string question = styled({"-- more: space; the rest: a; enough: q --", Style::dim});
  std::fputs(question.c_str(), stdout);
  std::fflush(stdout);
  char key = ' ';
  do {
    key = read_key();
  } while (key != ' ' && key != 'q' && key != 'a' && key != '\n' && key != '\r' && !interrupted);
  // Over the question.
  std::fputs("\r\x1b[K", stdout);
  lines_ = key == '\n' || key == '\r' ? lines_ - 1 : 0;
  paging_ = key != 'a';
  return key != 'q' && !interrupted;
}

std::string Screen::styled(const Span& span) const {
  const std::string text = actable::debug::printable(span.text);
  if (!settings_.colours || span.style == Style::plain || text.empty()) return text;
  return code_of(span.style) + text + "\x1b[0m";
}

std::string Screen::styled(const std::vector<Span>& spans) const {
  std::string text;
  std::size_t left = frame_ ? frame_->columns : std::string::npos;
  for (const Span& span : spans) {
    const std::string harmless = actable::debug::printable(span.text);
    const std::string_view shown = first_columns(harmless, left);
    text += styled({shown, span.style});
    left -= width_of(shown);
  }
  return text;
}

void Screen::table(const std::vector<Column>& columns, const std::vector<Row>& rows) {
  std::vector<Row> all(1);
  for (const Column& column : columns) all[0].emplace_back(column.name, Style::heading);
  all.insert(all.end(), rows.begin(), rows.end());
  std::vector<std::size_t> widths(columns.size());
  for (Row& row : all) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      row[i].text = actable::debug::printable(row[i].text);
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  }
  for (Row& row : all) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      // Nothing behind the last one.
      const bool last = i + 1 == columns.size() && !columns[i].right;
      if (!last) row[i].text = padded(row[i].text, widths[i], columns[i].right);
      if (i > 0) row[i].text.insert(0, "  ");
    }
    if (!line(row)) return;
  }
}

void Screen::pairs(const std::vector<std::pair<std::string, Span>>& pairs) {
  std::size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, width_of(name));
  for (const auto& [name, value] : pairs) {
    if (!line({{padded(name, width, false), Style::heading}, "  ", value})) return;
  }
}

void Screen::progress(const std::string& text) {
  const bool may = progress_ == Progress::beside_data || (progress_ == Progress::beside_answers && settings_.colours);
  if (!may || isatty(STDERR_FILENO) == 0 || (text.empty() && !progress_shown_)) return;
  std::fprintf(stderr, "\r\x1b[K%s", actable::debug::printable(text).c_str());
  std::fflush(stderr);
  progress_shown_ = !text.empty();
}

void Screen::begin_frame() {
  lines_ = 0;
  if (!settings_.colours) return;
  frame_ = size();
  std::fputs("\x1b[H\x1b[2J", stdout);
}

}  // namespace shell

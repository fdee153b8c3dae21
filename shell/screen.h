#pragma once

#include "shell/failure.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shell {

/// Where commands print to: lines, tables and JSON, in colours and page by page
/// where a person is looking at a terminal, and plainly elsewhere.
///
/// Thread safety: *confined*.
class Screen {
 public:
  struct Settings {
    bool json = false;
    /// Colours: for a terminal only.
    bool colours = false;
    /// Stop after each screenful: for a terminal at which somebody types.
    bool pages = false;
  };
  enum class Style { plain, heading, good, warning, bad, dim };

  explicit Screen(Settings settings) : settings_(settings) {}

  [[nodiscard]] bool json() const noexcept { return settings_.json; }
  [[nodiscard]] bool terminal() const noexcept { return settings_.colours; }

  /// A command begins: paging starts anew.
  void begin() noexcept;

  /// Text in one style. Whatever is printed goes through here as it came, from
  /// the other side too: the screen makes it harmless, and then styles it.
  struct Span {
    Span(std::string of, Style in = Style::plain) : text(std::move(of)), style(in) {}
    Span(std::string_view of, Style in = Style::plain) : text(of), style(in) {}
    Span(const char* of, Style in = Style::plain) : text(of), style(in) {}
    std::string text;
    Style style;
  };

  /// Prints one line, new lines in it escaped. False once the reader has had
  /// enough, or has gone: nothing is printed any more.
  bool line(const Span& text);
  bool line(const std::vector<Span>& spans);
  /// The same with each line of the text, whose tabs are kept.
  bool lines(std::string_view text);
  [[nodiscard]] bool wanted() const noexcept { return wanted_; }

  struct Column {
    std::string name;
    bool right = false;
  };
  using Row = std::vector<Span>;
  /// Columns as wide as they must be, two blanks apart.
  void table(const std::vector<Column>& columns, const std::vector<Row>& rows);
  /// "name   value" lines.
  void pairs(const std::vector<std::pair<std::string, Span>>& pairs);

  /// Shows a line of progress in place, on a terminal's standard error only; an
  /// empty one removes it.
  void progress(const std::string& text);
  /// What the command prints is data, which goes to the terminal, and progress
  /// would be in its midst; or elsewhere, and there is progress though standard
  /// output is no terminal. Until the command ends.
  void begin_data(bool to_terminal) noexcept { progress_ = to_terminal ? Progress::never : Progress::beside_data; }

  /// Why a line could not be written: a disk is full, say. Empty where none was,
  /// or where the reader has just gone.
  [[nodiscard]] const std::string& write_error() const noexcept { return write_error_; }

  /// What fits a terminal, the cursor's line left out.
  struct Size {
    std::size_t lines;
    std::size_t columns;
  };
  [[nodiscard]] static Size size();

  /// Clears the terminal, where it is one, for what is to be seen at once: until
  /// the command ends lines are cut where they do not fit, those that would be
  /// too many are left out, and nothing waits for a key.
  void begin_frame();

 private:
  [[nodiscard]] bool next_page();
  [[nodiscard]] std::string styled(const Span& span) const;
  [[nodiscard]] std::string styled(const std::vector<Span>& spans) const;
  /// What is made harmless already.
  bool print(const std::string& line);

  const Settings settings_;
  bool wanted_ = true;
  bool paging_ = false;
  std::size_t lines_ = 0;
  // While there is a frame.
  std::optional<Size> frame_;
  enum class Progress { beside_answers, beside_data, never };
  Progress progress_ = Progress::beside_answers;
  bool progress_shown_ = false;
  std::string write_error_;
};

/// Tells on standard error what went wrong, in one line.
void complain(const Failure& failure);

}  // namespace shell

#include "tests/lab/history/operation.h"

#include <cstdio>
#include <utility>

namespace actable::lab::history {

namespace {

[[nodiscard]] const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::get:
      return "get";
    case Kind::multi_get:
      return "multi_get";
    case Kind::visit:
      return "visit";
    case Kind::scan:
      return "scan";
    case Kind::put:
      return "put";
    case Kind::erase:
      return "erase";
    case Kind::put_if_absent:
      return "put_if_absent";
    case Kind::compare_and_set:
      return "compare_and_set";
    case Kind::add:
      return "add";
    case Kind::update:
      return "update";
    case Kind::take:
      return "take";
    case Kind::batch_put:
      return "batch put";
    case Kind::batch_erase:
      return "batch erase";
  }
  std::unreachable();
}

[[nodiscard]] std::string number_text(Seq seq) { return seq == 0 ? "" : " #" + std::to_string(seq); }

}  // namespace

bool may_write(const Operation& operation) noexcept {
  switch (operation.kind) {
    case Kind::get:
    case Kind::multi_get:
    case Kind::visit:
    case Kind::scan:
      return false;
    case Kind::put:
    case Kind::batch_put:
    case Kind::batch_erase:
      return true;
    case Kind::update:
      return operation.outcome != Outcome::done || operation.seq != 0;
    default:
      return operation.outcome != Outcome::done || operation.yes;
  }
}

std::string call_text(const Operation& operation) {
  std::string text = std::string(name_of(operation.kind)) + "(";
  switch (operation.kind) {
    case Kind::put:
    case Kind::put_if_absent:
    case Kind::add:
    case Kind::batch_put:
      text += std::to_string(operation.argument);
      break;
    case Kind::compare_and_set:
      text += (operation.expected == 0 ? "absent" : "#" + std::to_string(operation.expected)) + ", " +
              std::to_string(operation.argument);
      break;
    case Kind::update:
      text += (operation.yes ? std::to_string(operation.seen) : "absent") + " to " +
              (operation.erases ? "absent" : std::to_string(operation.argument));
      break;
    default:
      break;
  }
  return text + (operation.sync ? "), sync" : ")");
}

std::string result_text(const Operation& operation) {
  if (operation.outcome == Outcome::indeterminate) return "indeterminate";
  if (operation.outcome == Outcome::open) return "unknown";
  switch (operation.kind) {
    case Kind::put:
    case Kind::batch_put:
    case Kind::batch_erase:
      return "ok" + number_text(operation.seq);
    case Kind::update:
      return operation.seq == 0 ? "nothing to do" : "ok" + number_text(operation.seq);
    case Kind::put_if_absent:
    case Kind::compare_and_set:
      return operation.yes ? "won" : "lost";
    case Kind::erase:
      return operation.yes ? "erased" : "absent";
    case Kind::add:
      return operation.yes ? std::to_string(operation.seen) : "refused: no counter";
    default:
      return operation.yes ? std::to_string(operation.seen) + number_text(operation.seq) : "absent";
  }
}

std::string table_text(const std::vector<Operation>& operations) {
  std::string text = "client        call      return  operation -> result\n";
  for (const Operation& operation : operations) {
    char columns[64];
    const std::string returned = operation.returned == k_never ? "never" : std::to_string(operation.returned);
    std::snprintf(columns, sizeof columns, "%6u  %10llu  %10s  ", unsigned{operation.client},
                  static_cast<unsigned long long>(operation.called), returned.c_str());
    text += columns + call_text(operation) + " -> " + result_text(operation) + "\n";
  }
  return text;
}

}  // namespace actable::lab::history

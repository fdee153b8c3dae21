#include "debug/protocol.h"

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <utility>

namespace actable::debug {
namespace {

constexpr std::string_view k_protocol = "actable-debug";
constexpr std::size_t k_length_bytes = 4;

/// An error's message says which kind of message it is about.
[[nodiscard]] std::unexpected<Error> bad(std::string_view message, ErrorCode code, std::string_view what) {
  return fail(code, "the " + std::string(message) + " cannot be read: " + std::string(what));
}

[[nodiscard]] Result<Document> unpack_message(std::string_view bytes, std::string_view message,
                                              const DocumentLimits& limits) {
  Result<Document> document = unpack(bytes, limits);
  if (!document) return bad(message, document.error().code, document.error().message);
  if (document->as<Document::Map>() == nullptr) return bad(message, ErrorCode::corrupt, "it is no map");
  return document;
}

/// Takes the fields off a message, one by one; what is missing, of another kind
/// or left over is an error.
///
/// Thread safety: *confined*.
class Fields {
 public:
  Fields(Document document, std::string_view message) : document_(std::move(document)), message_(message) {}

  template <class T>
  [[nodiscard]] T take(std::string_view name) {
    const Document* const field = document_.find(name);
    if (field == nullptr) {
      note("the field '" + std::string(name) + "' is missing");
      return T{};
    }
    ++taken_;
    if constexpr (std::is_same_v<T, Document>) {
      return *field;
    } else {
      const T* const value = field->as<T>();
      if (value == nullptr) note("the field '" + std::string(name) + "' is of another kind");
      return value == nullptr ? T{} : *value;
    }
  }
  [[nodiscard]] bool has(std::string_view name) const noexcept { return document_.find(name) != nullptr; }

  void note(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  template <class T>
  [[nodiscard]] Result<T> all_of(T value) {
    if (wrong_.empty() && taken_ != document_.map().size()) note("it has a field that this version does not know");
    if (!wrong_.empty()) return bad(message_, ErrorCode::corrupt, wrong_);
    return value;
  }

 private:
  Document document_;
  std::string_view message_;
  std::size_t taken_ = 0;
  std::string wrong_;
};

[[nodiscard]] Document document_of(const Error& error) {
  return Document::Map{{"code", to_string(error.code)}, {"message", error.message}};
}

[[nodiscard]] Result<Error> error_of(Document document) {
  Fields fields(std::move(document), "error");
  const auto code = fields.take<std::string>("code");
  Error error{ErrorCode::indeterminate, fields.take<std::string>("message")};
  const auto last = static_cast<int>(ErrorCode::no_memory);
  for (int i = 0; i <= last; ++i) {
    if (to_string(static_cast<ErrorCode>(i)) == code) {
      error.code = static_cast<ErrorCode>(i);
      return fields.all_of(std::move(error));
    }
  }
  fields.note("its code is none that this version knows");
  return fields.all_of(std::move(error));
}

/// What both sides begin with, in every version: names the protocol and the version.
[[nodiscard]] Result<Fields> greeting(std::string_view bytes, std::string_view message) {
  Result<Document> document = unpack_message(bytes, message, k_request_limits);
  if (!document) return std::unexpected(std::move(document.error()));
  if ((*document)["protocol"].text() != k_protocol) {
    return bad(message, ErrorCode::corrupt, "it is not of the protocol " + std::string(k_protocol));
  }
  const auto* const version = (*document)["version"].as<std::uint64_t>();
  if (version == nullptr) return bad(message, ErrorCode::corrupt, "it names no version");
  if (*version != k_protocol_version) {
    return fail(ErrorCode::unsupported, "the other side speaks version " + std::to_string(*version) +
                                            " of the debug protocol, this one version " +
                                            std::to_string(k_protocol_version) +
                                            ": use the actable-shell that was built with the service");
  }
  Fields fields(*std::move(document), message);
  (void)fields.take<std::string>("protocol");
  (void)fields.take<std::uint64_t>("version");
  return fields;
}

}  // namespace

std::string encode(const Hello& hello) {
  return pack(Document::Map{
      {"protocol", k_protocol}, {"version", k_protocol_version}, {"writes", hello.writes}, {"client", hello.client}});
}

std::string encode(const Welcome& welcome, const std::optional<Error>& refused) {
  Document::Map map{{"protocol", k_protocol}, {"version", k_protocol_version}};
  if (refused) {
    map.push_back({"error", document_of(*refused)});
  } else {
    map.push_back({"writes", welcome.writes});
    map.push_back({"process", welcome.process});
    map.push_back({"directory", Bytes{welcome.directory}});
  }
  return pack(map);
}

std::string encode(const Request& request) {
  return pack(Document::Map{{"id", request.id}, {"command", request.command}, {"arguments", request.arguments}});
}

std::string encode(const Reply& reply) {
  if (!reply.result) return pack(Document::Map{{"id", reply.id}, {"error", document_of(reply.result.error())}});
  const Document document = Document::Map{{"id", reply.id}, {"result", *reply.result}};
  const auto refused = [&reply](const std::string& why) {
    return encode(Reply{reply.id, fail(ErrorCode::too_large, "the answer is too large: " + why + "; ask for less")});
  };
  if (auto fits = check(document, k_reply_limits); !fits) return refused(fits.error().message);
  std::string message = pack(document);
  if (message.size() <= k_reply_bytes_max) return message;
  return refused("it is " + std::to_string(message.size()) + " bytes long, and may have " +
                 std::to_string(k_reply_bytes_max));
}

Result<Hello> decode_hello(std::string_view bytes) {
  Result<Fields> fields = greeting(bytes, "client's hello");
  if (!fields) return std::unexpected(std::move(fields.error()));
  Hello hello;
  hello.writes = fields->take<bool>("writes");
  hello.client = fields->take<std::string>("client");
  return fields->all_of(std::move(hello));
}

Result<Welcome> decode_welcome(std::string_view bytes) {
  Result<Fields> fields = greeting(bytes, "process's welcome");
  if (!fields) return std::unexpected(std::move(fields.error()));
  if (fields->has("error")) {
    Result<Error> error = error_of(fields->take<Document>("error"));
    return std::unexpected(error ? *std::move(error) : std::move(error.error()));
  }
  Welcome welcome;
  welcome.writes = fields->take<bool>("writes");
  welcome.process = fields->take<std::uint64_t>("process");
  welcome.directory = fields->take<Bytes>("directory").bytes;
  return fields->all_of(std::move(welcome));
}

Result<Request> decode_request(std::string_view bytes) {
  constexpr std::string_view k_what = "request";
  if (bytes.size() > k_request_bytes_max) return bad(k_what, ErrorCode::too_large, "it is longer than 1 MiB");
  Result<Document> document = unpack_message(bytes, k_what, k_request_limits);
  if (!document) return std::unexpected(std::move(document.error()));
  Fields fields(*std::move(document), k_what);
  Request request;
  request.id = fields.take<std::uint64_t>("id");
  request.command = fields.take<std::string>("command");
  request.arguments = fields.take<Document>("arguments");
  if (request.arguments.as<Document::Map>() == nullptr) fields.note("its arguments are no map");
  if (request.command.empty() || request.command.size() > k_command_bytes_max ||
      !std::ranges::all_of(request.command, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; })) {
    fields.note("its command is no word of lower-case letters");
  }
  return fields.all_of(std::move(request));
}

Result<Reply> decode_reply(std::string_view bytes) {
  constexpr std::string_view k_what = "reply";
  if (bytes.size() > k_reply_bytes_max) return bad(k_what, ErrorCode::too_large, "it is longer than 5 MiB");
  Result<Document> document = unpack_message(bytes, k_what, k_reply_limits);
  if (!document) return std::unexpected(std::move(document.error()));
  Fields fields(*std::move(document), k_what);
  Reply reply;
  reply.id = fields.take<std::uint64_t>("id");
  if (!fields.has("error")) {
    reply.result = fields.take<Document>("result");
    return fields.all_of(std::move(reply));
  }
  Result<Error> error = error_of(fields.take<Document>("error"));
  if (!error) return std::unexpected(std::move(error.error()));
  reply.result = std::unexpected(*std::move(error));
  return fields.all_of(std::move(reply));
}

std::string frame(std::string_view message) {
  std::array<std::byte, k_length_bytes> length{};
  base::store_le(length.data(), static_cast<std::uint32_t>(message.size()));
  std::string framed(base::as_text(length));
  return framed.append(message);
}

Result<std::optional<std::string>> FrameBuffer::take() {
  if (bytes_.size() < k_length_bytes) return std::nullopt;
  const auto length = base::load_le<std::uint32_t>(std::as_bytes(std::span(bytes_)).data());
  if (length == 0) return fail(ErrorCode::corrupt, "a message of the debug protocol is empty");
  if (length > message_bytes_max_) {
    return fail(ErrorCode::too_large, "a message of the debug protocol is " + std::to_string(length) +
                                          " bytes long; it may have " + std::to_string(message_bytes_max_));
  }
  if (bytes_.size() < k_length_bytes + length) return std::nullopt;
  std::string message = bytes_.substr(k_length_bytes, length);
  bytes_.erase(0, k_length_bytes + length);
  return message;
}

}  // namespace actable::debug

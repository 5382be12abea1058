// bench-client ADDRESS [CONTROL-ADDRESS]: measures how long a TPM takes to answer.
//
// It connects at once and stays connected. Each line on standard input is a batch of commands to measure, as
// words NAME=VALUE; for each it prints one line, {"ns":[…],"code":N}: the time of each command in
// nanoseconds, from before it is sent to when the response has been read, and the last response code.
//
//   count=N            how many
//   command=HEX        what to send; not with ioctl
//   vary=OFFSET,SIZE   put another number into these bytes of the command each time
//   flush=1            flush the object whose handle the response begins with, unmeasured
//   ioctl=REQUEST,HEX  an ioctl() with this argument instead of a command
//   pause=US           wait so long before each, unmeasured: the TPM has then gone to sleep
//   cancel=US[,HEX]    so many microseconds after the command has been sent, cancel it: by HEX on the control
//                      address, or without HEX by PTM_CANCEL_TPM_CMD on the device. Measured is the time from
//                      there to the response.
#include <time.h>

#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "bench/exchange.h"

namespace swtpm::bench {
namespace {

constexpr uint32_t kRetry = 0x922;
constexpr unsigned long kPtmCancelTpmCmd = 0x80045008;
constexpr uint32_t kFirstTransientHandle = 0x80000000;

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void sleep_for(int64_t ns) {
  if (ns == 0) return;
  timespec pause{ns / 1'000'000'000, ns % 1'000'000'000};
  nanosleep(&pause, nullptr);
}

Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

// "A,B" as A and B; B is empty when there is no comma.
std::pair<std::string, std::string> halves(const std::string& text) {
  size_t comma = text.find(',');
  if (comma == std::string::npos) return {text, ""};
  return {text.substr(0, comma), text.substr(comma + 1)};
}

struct Batch {
  size_t count = 1;
  Bytes command;
  size_t vary_offset = 0, vary_size = 0;
  bool flush = false;
  unsigned long request = 0;
  Bytes argument;
  int64_t pause_ns = 0;
  int64_t cancel_after_ns = 0;
  Bytes cancel;
};

Batch parse(const std::string& line) {
  Batch batch;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    size_t equals = word.find('=');
    std::string name = word.substr(0, equals), value = word.substr(std::min(word.size(), equals + 1));
    auto [first, second] = halves(value);
    if (name == "count") {
      batch.count = std::stoul(value);
    } else if (name == "command") {
      batch.command = from_hex(value);
    } else if (name == "vary") {
      batch.vary_offset = std::stoul(first);
      batch.vary_size = std::stoul(second);
    } else if (name == "flush") {
      batch.flush = true;
    } else if (name == "ioctl") {
      batch.request = std::stoul(first, nullptr, 0);
      batch.argument = from_hex(second);
    } else if (name == "pause") {
      batch.pause_ns = std::stoll(value) * 1000;
    } else if (name == "cancel") {
      batch.cancel_after_ns = std::stoll(first) * 1000;
      batch.cancel = from_hex(second);
    } else {
      errno = 0;
      fail("No such word: %s", name.c_str());
    }
  }
  if (batch.vary_offset + batch.vary_size > batch.command.size()) fail("The bytes to vary lie outside");
  return batch;
}

class Client {
 public:
  Client(std::unique_ptr<Exchange> tpm, std::unique_ptr<Exchange> control)
      : tpm_(std::move(tpm)), control_(std::move(control)) {}

  // Returns the times; the response code is in code().
  std::vector<int64_t> run(Batch& batch) {
    std::vector<int64_t> times;
    times.reserve(batch.count);
    while (times.size() < batch.count) {
      vary(batch);
      sleep_for(batch.pause_ns);
      int64_t time = batch.request           ? one_ioctl(batch)
                     : batch.cancel_after_ns ? one_cancelled(batch)
                                             : one_command(batch);
      if (code_ == kRetry) continue;
      times.push_back(time);
      if (batch.flush && code_ == 0) flush();
    }
    return times;
  }

  uint32_t code() const { return code_; }

 private:
  void vary(Batch& batch) {
    number_++;
    for (size_t i = 0; i < batch.vary_size; i++)
      batch.command[batch.vary_offset + i] = static_cast<uint8_t>(number_ >> (8 * (i % 8)));
  }

  int64_t one_command(const Batch& batch) {
    int64_t start = now_ns();
    tpm_->send(batch.command);
    take(tpm_->receive());
    return now_ns() - start;
  }

  int64_t one_ioctl(Batch& batch) {
    argument_ = batch.argument;
    int64_t start = now_ns();
    tpm_->control(batch.request, argument_);
    return now_ns() - start;
  }

  int64_t one_cancelled(const Batch& batch) {
    tpm_->send(batch.command);
    sleep_for(batch.cancel_after_ns);
    int64_t start = now_ns();
    if (control_) {
      control_->send(batch.cancel);
    } else {
      argument_.assign(sizeof(uint32_t), 0);
      tpm_->control(kPtmCancelTpmCmd, argument_);
    }
    take(tpm_->receive());
    int64_t time = now_ns() - start;
    if (control_) control_->receive();
    return time;
  }

  void take(ByteView response) {
    if (response.size() < 10) {
      code_ = 0;
      return;
    }
    code_ = load_be32(&response[6]);
    if (response.size() >= 14) handle_ = load_be32(&response[10]);
  }

  void flush() {
    if (handle_ < kFirstTransientHandle) return;
    uint8_t command[14] = {0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x65};
    store_be32(&command[10], handle_);
    tpm_->send(command);
    tpm_->receive();
  }

  std::unique_ptr<Exchange> tpm_, control_;
  Bytes argument_;
  uint64_t number_ = static_cast<uint64_t>(now_ns());
  uint32_t code_ = 0, handle_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "Usage: bench-client ADDRESS [CONTROL-ADDRESS]\n");
    return 2;
  }
  Client client(connect_to(argv[1]), argc == 3 ? connect_to(argv[2]) : nullptr);
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    Batch batch = parse(line);
    std::vector<int64_t> times = client.run(batch);
    std::cout << "{\"code\":" << client.code() << ",\"ns\":[";
    for (size_t i = 0; i < times.size(); i++) std::cout << (i ? "," : "") << times[i];
    std::cout << "]}" << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace swtpm::bench

int main(int argc, char** argv) {
  return swtpm::bench::run(argc, argv);
}

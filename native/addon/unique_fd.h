// UniqueFd: the one owner of a file descriptor while a native function builds something from it.
#pragma once

#include <unistd.h>

#include <utility>

namespace swtpm::addon {

// Closes its descriptor when it goes out of scope, keeping errno, unless Release() has handed it on.
// Belongs to one thread at a time.
class UniqueFd {
 public:
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd();
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  UniqueFd& operator=(UniqueFd&&) = delete;

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // The caller owns the descriptor from now on.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace swtpm::addon

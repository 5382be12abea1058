// A number in memory that processes share. Plain data, and so an object without a constructor: mapping the
// memory is enough for it to exist, with the value that an earlier process left there. Every access is
// atomic.
#pragma once

#include <atomic>
#include <type_traits>

namespace swtpm {

template <typename T>
struct SharedAtomic {
  static_assert(std::is_integral_v<T> && std::atomic_ref<T>::is_always_lock_free);

  T load(std::memory_order order = std::memory_order_seq_cst) const { return ref().load(order); }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) { ref().store(value, order); }
  T exchange(T value) { return ref().exchange(value); }

  alignas(std::atomic_ref<T>::required_alignment) T raw;  // only through the functions above

 private:
  // atomic_ref<const T> comes with C++26.
  std::atomic_ref<T> ref() const { return std::atomic_ref<T>(const_cast<T&>(raw)); }
};

}  // namespace swtpm

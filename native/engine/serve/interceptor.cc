#include "engine/serve/interceptor.h"

#include <chrono>

namespace swtpm {
namespace {

// How often a client is looked for while its command waits. A descriptor to be woken by would be one more
// that every engine has.
constexpr auto kLookInterval = std::chrono::milliseconds(20);

}  // namespace

void Interceptor::set_on(bool on) {
  std::lock_guard lock(mutex_);
  on_.store(on, std::memory_order_relaxed);
  if (!on) changed_.notify_all();
}

uint32_t Interceptor::show(ByteView command, uint8_t locality, const void* who) {
  uint32_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = ++number_;
    waits_ = true;
    left_ = false;
    who_ = who;
    turned_away_ = false;
    ordered_ = false;
    orders_.clear();
  }
  Bytes payload(5);
  store_be32(payload.data(), number);
  payload[4] = locality;
  payload.insert(payload.end(), command.begin(), command.end());
  channel_.event(wire::Event::kCommand, payload);
  return number;
}

Interceptor::Order Interceptor::wait(uint32_t number, const Client& client) {
  std::unique_lock lock(mutex_);
  while (true) {
    // What has been decided is done, whatever came after it.
    if (!orders_.empty()) {
      Order order = std::move(orders_.front());
      orders_.pop_front();
      ordered_ = true;
      return order;
    }
    if (turned_away_) {
      gone(number, wire::CommandGone::kTpm);
      return {.what = Order::What::kTurnedAway};
    }
    if (left_ || has_gone(client)) {
      gone(number, wire::CommandGone::kClient);
      return {.what = Order::What::kClientGone};
    }
    // What has been executed is not executed a second time.
    if (!on() && !ordered_) {
      waits_ = false;
      return {};
    }
    changed_.wait_for(lock, kLookInterval);
  }
}

bool Interceptor::has_gone(const Client& client) {
  if (client.fd < 0) return false;
  pollfd look{client.fd, client.gone_on, 0};
  return ::poll(&look, 1, 0) > 0;
}

// Called with the mutex held.
void Interceptor::gone(uint32_t number, wire::CommandGone why) {
  waits_ = false;
  uint8_t payload[8];
  store_be32(payload, number);
  store_be32(payload + 4, static_cast<uint32_t>(why));
  channel_.event(wire::Event::kCommandGone, ByteView(payload));
}

void Interceptor::executed(uint32_t number, ByteView response) {
  Bytes payload(4);
  store_be32(payload.data(), number);
  payload.insert(payload.end(), response.begin(), response.end());
  channel_.event(wire::Event::kResponse, payload);
}

bool Interceptor::respond(uint32_t number, Order order) {
  std::lock_guard lock(mutex_);
  if (!waits_ || number != number_) return false;
  // Decided is decided, also where it has not been done yet.
  waits_ = order.verdict == wire::Verdict::kRun || order.verdict == wire::Verdict::kPart;
  orders_.push_back(std::move(order));
  changed_.notify_all();
  return true;
}

void Interceptor::turn_away() {
  std::lock_guard lock(mutex_);
  if (!waits_) return;
  turned_away_ = true;
  changed_.notify_all();
}

void Interceptor::client_left(const void* who) {
  std::lock_guard lock(mutex_);
  if (who_ != who) return;
  left_ = true;
  changed_.notify_all();
}

}  // namespace swtpm

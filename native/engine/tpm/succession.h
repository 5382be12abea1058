// The engine's side of the succession: which part it has in the life of a TPM that several engines serve one
// after another. The supervisor's side is in src/engine-client.
//
//            power on, resume                 hand over
//   fresh ---------------------> serving ----------------> handed over
//     |                          ^  |  ^                     |     ^
//     |                          +--+  +---------------------+     |
//     |             power on, resume          resume               |
//     +------------------------------------------------------------+
//                               hand over
//
// A TPM that was handed over belongs to another engine: here nothing is run, stored or saved any more, not
// even when the process ends. If the other engine does not take over, the supervisor has this one resume.
#pragma once

namespace swtpm {

// Under the Tpm's mutex.
class Succession {
 public:
  enum class Stage {
    kFresh,       // has not had a TPM yet
    kServing,     // has the TPM, which may be on or off
    kHandedOver,  // another engine has it
  };
  enum class Step { kPowerOn, kResume, kHandOver };

  struct Transition {
    Stage from;
    Step step;
    Stage to;
  };
  static constexpr Transition kTransitions[] = {
      {Stage::kFresh, Step::kPowerOn, Stage::kServing},
      {Stage::kFresh, Step::kResume, Stage::kServing},
      {Stage::kFresh, Step::kHandOver, Stage::kHandedOver},
      {Stage::kServing, Step::kPowerOn, Stage::kServing},
      {Stage::kServing, Step::kResume, Stage::kServing},
      {Stage::kServing, Step::kHandOver, Stage::kHandedOver},
      {Stage::kHandedOver, Step::kResume, Stage::kServing},
  };

  // False: not in this stage; nothing has changed.
  bool take(Step step) {
    for (const Transition& transition : kTransitions) {
      if (transition.from != stage_ || transition.step != step) continue;
      stage_ = transition.to;
      return true;
    }
    return false;
  }

  // Whether the TPM may be used here.
  bool owns_tpm() const { return stage_ != Stage::kHandedOver; }

 private:
  Stage stage_ = Stage::kFresh;
};

}  // namespace swtpm

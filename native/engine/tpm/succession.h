// The engine's side of the succession: which part it has in the life of a TPM that several engines serve one
// after another. The supervisor's side is in src/engine-client.
//
//            power on, resumed                hand over
//   fresh ---------------------> serving ----------------> handed over
//     |                          ^  |  ^                     |     ^
//     |                          +--+  +---------------------+     |
//     |             power on, resumed         resumed              |
//     +------------------------------------------------------------+
//                               hand over
//
// A TPM that was handed over belongs to another engine: here nothing is run, stored or saved any more, not
// even when the process ends. If the other engine does not take over, the supervisor has this one resume.
// Nor has an engine that is fresh, or could not resume, anything to put in order at its end.
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
  enum class Step { kPowerOn, kResumed, kHandOver };

  struct Transition {
    Stage from;
    Step step;
    Stage to;
  };
  static constexpr Transition kTransitions[] = {
      {Stage::kFresh, Step::kPowerOn, Stage::kServing},
      {Stage::kFresh, Step::kResumed, Stage::kServing},
      {Stage::kFresh, Step::kHandOver, Stage::kHandedOver},
      {Stage::kServing, Step::kPowerOn, Stage::kServing},
      {Stage::kServing, Step::kResumed, Stage::kServing},
      {Stage::kServing, Step::kHandOver, Stage::kHandedOver},
      {Stage::kHandedOver, Step::kResumed, Stage::kServing},
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
  // Whether it is for this process to power it off.
  bool has_tpm() const { return stage_ == Stage::kServing; }

 private:
  Stage stage_ = Stage::kFresh;
};

}  // namespace swtpm

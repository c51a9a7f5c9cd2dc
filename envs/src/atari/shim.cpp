// What envs/src/atari/ale.rs needs of the Arcade Learning Environment, as functions that C can call and that never throw.
//
// ALE itself ends the program where a ROM is missing or not supported; so both are looked at here before it is asked.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "ale/ale_interface.hpp"
#include "ale/emucore/Console.hxx"
#include "ale/emucore/MD5.hxx"
#include "ale/emucore/System.hxx"

namespace {

// ALE's static data (log level, ROM table) is written while an emulator is made.
std::mutex making;

template <typename Body>
bool guarded(char *error, size_t length, Body body) {
  const char *text = "an exception that says nothing";
  try {
    body();
    return true;
  } catch (const std::exception &e) {
    std::snprintf(error, length, "%s", e.what());
    return false;
  } catch (...) {
    std::snprintf(error, length, "%s", text);
    return false;
  }
}

void check_rom(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.good()) throw std::runtime_error("the file cannot be read");
  const std::vector<uint8_t> rom((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string md5 = ale::stella::MD5(rom.data(), static_cast<uint32_t>(rom.size()));
  const std::unique_ptr<ale::RomSettings> settings(ale::buildRomRLWrapper(path, md5));
  if (!settings) throw std::runtime_error("this is no game that ALE knows");
  if (settings->md5() != md5)
    throw std::runtime_error("the file is damaged or of another version: its MD5 is " + md5 + ", ALE expects " + settings->md5());
}

}  // namespace

extern "C" {

struct illume_ale {
  ale::ALEInterface ale;
  ale::ALEState loaded;  // before the reset with which an episode begins

  ale::stella::MediaSource &media() { return ale.theOSystem->console().mediaSource(); }
};

struct illume_ale_facts {
  size_t width, height;
  size_t minimal_count, legal_count;
  int32_t minimal[32], legal[32];
  uint32_t palette[256];  // 0xRRGGBB by the even values that pixels have
};

struct illume_ale_outcome {
  int64_t reward;
  uint32_t frames;
  int32_t lives;
  bool over;
};

struct illume_ale_view {
  const uint8_t *newest, *previous, *ram;
};

illume_ale *illume_ale_open(const char *rom, char *error, size_t length) {
  const std::lock_guard<std::mutex> lock(making);
  ale::Logger::setMode(ale::Logger::Error);
  std::unique_ptr<illume_ale> self;
  const bool made = guarded(error, length, [&] {
    check_rom(rom);
    self = std::make_unique<illume_ale>();
    self->ale.setInt("random_seed", 0);
    self->ale.setFloat("repeat_action_probability", 0.0f);
    self->ale.loadROM(rom);
    self->loaded = self->ale.cloneState(true);
    self->ale.reset_game();
  });
  return made ? self.release() : nullptr;
}

void illume_ale_close(illume_ale *self) { delete self; }

bool illume_ale_describe(illume_ale *self, illume_ale_facts *facts, char *error, size_t length) {
  return guarded(error, length, [&] {
    facts->width = self->media().width();
    facts->height = self->media().height();
    const auto copy = [](const ale::ActionVect &from, int32_t *to, size_t *count) {
      if (from.size() > 32) throw std::runtime_error("a game of more than 32 actions");
      *count = from.size();
      std::copy(from.begin(), from.end(), to);
    };
    copy(self->ale.getMinimalActionSet(), facts->minimal, &facts->minimal_count);
    copy(self->ale.getLegalActionSet(), facts->legal, &facts->legal_count);
    for (int i = 0; i < 256; ++i)
      facts->palette[i] = self->ale.theOSystem->colourPalette().getRGB(i & ~1) & 0xffffff;
  });
}

bool illume_ale_restart(illume_ale *self, char *error, size_t length) {
  return guarded(error, length, [&] {
    // The console's memory and random numbers survive a reset, so they are put back first. States lack what the picture generator
    // computes from its registers, which a reset sets, and whether a frame was left half done: hence the one more frame.
    self->ale.restoreState(self->loaded);
    self->media().update();
    self->ale.restoreState(self->loaded);
    self->ale.reset_game();
  });
}

bool illume_ale_act(illume_ale *self, const int32_t *actions, size_t count, illume_ale_outcome *outcome, char *error, size_t length) {
  return guarded(error, length, [&] {
    outcome->reward = 0;
    outcome->frames = 0;
    while (outcome->frames < count && !self->ale.game_over()) {
      outcome->reward += self->ale.act(static_cast<ale::Action>(actions[outcome->frames]));
      ++outcome->frames;
    }
    outcome->lives = self->ale.lives();
    outcome->over = self->ale.game_over();
  });
}

void illume_ale_look(illume_ale *self, illume_ale_view *view) {
  view->newest = self->media().currentFrameBuffer();
  view->previous = self->media().previousFrameBuffer();
  view->ram = self->ale.getRAM().array();
}

const char *illume_ale_version() { return ALE_VERSION; }

}  // extern "C"

// How long one sync of the disk takes now.
//
//   bench_sync_probe --folder DIR --milliseconds 200
//   p50_us=210.3 p99_us=480.9 count=900
#include "sync_probe.h"

#include "program.h"

int main(int argc, char** argv) {
  using namespace colloquy::bench;
  CLI::App flags("Measures one sync of the disk.", "bench_sync_probe");
  std::string folder;
  int milliseconds = 200;
  flags.add_option("--folder", folder, "Folder on the disk.")->required();
  flags.add_option("--milliseconds", milliseconds, "For how long.");
  return run_program(flags, argc, argv, [&] {
    SyncProbe probe(folder);
    probe.sync();  // the first one also writes the file's size and place
    Times times;
    auto end = SteadyClock::now() + std::chrono::milliseconds(milliseconds);
    while (SteadyClock::now() < end) times.add(probe.sync());
    std::cout << "p50_us=" << times.at(0.5) << " p99_us=" << times.at(0.99)
              << " count=" << times.count() << "\n";
  });
}

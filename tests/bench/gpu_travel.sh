#!/usr/bin/env bash
# Packs what benchmarks of the GPU need on a machine with a card and without a network, as one that
# is lent: Deno, the packages, Vulkan's loader. 40 MB, into .gpu (git does not see it: name it where
# you say what travels). On that machine, in the repository's root:
#
#   . .gpu/setup.sh
#   $GANGLION synth --shape mistral-7b --quant Q4_0 -o /tmp/m.gguf
#   $BENCH/gpu_waits.ts; $BENCH/gpu_token_profile.ts /tmp/m.gguf; $BENCH/gpu_variants.ts /tmp/m.gguf
#   $GANGLION doctor; $GANGLION bench /tmp/m.gguf --gpu on --threads 1
#
# Move .gpu away before other tests: they look at every file of the repository.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .gpu
exclude=$(git rev-parse --git-path info/exclude) # a worktree has none of its own
grep -qx '/.gpu/' "$exclude" 2>/dev/null || echo '/.gpu/' >>"$exclude"

echo "Deno"
xz -T0 -5 -c "$(deno eval 'console.log(Deno.execPath())')" >.gpu/deno.xz

echo "packages"
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
DENO_DIR=$cache deno cache --no-check src/cli/main.ts workers/*.ts tests/bench/gpu_*.ts \
  tests/gpu/*_test.ts tests/engine/gpu_golden_test.ts 2>/dev/null
# Of packages that only other tests use the names are enough.
tar -C "$cache" -c --exclude='*.map' --exclude='*.md' --exclude='binaryen/*/*.[jt]s' \
  --exclude='binaryen/*/bin' --exclude='openai/*/resources' --exclude='openai/*/src' \
  --exclude='typescript/*/lib' --exclude='playwright-core/*/lib' --exclude='langsmith/*/dist' \
  --exclude='@langchain/core/*/dist' --exclude='js-tiktoken/*/dist' --exclude='axe-core/*/*.js' \
  --exclude='highlight.js/*/lib' --exclude='highlight.js/*/es' npm | xz -T0 -5 >.gpu/npm.txz

echo "Vulkan's loader (Debian's packages)"
(cd .gpu && apt-get download -q libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2 \
  libx11-6 libxext6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0)

cat >.gpu/setup.sh <<'SETUP'
# To be read by a shell in the repository's root, as root; the second time it takes no time.
at=/tmp/ganglion-gpu
if [ ! -f $at/done ]; then
  mkdir -p $at/bin $at/deno
  xz -dc .gpu/deno.xz >$at/bin/deno && chmod +x $at/bin/deno
  tar -C $at/deno -xJf .gpu/npm.txz
  for package in .gpu/*.deb; do dpkg -x "$package" /; done
  ldconfig
  touch $at/done
fi
export PATH=$at/bin:$PATH DENO_DIR=$at/deno XDG_CACHE_HOME=$at/cache XDG_RUNTIME_DIR=/tmp NO_COLOR=1
export DENO_V8_FLAGS=--no-wasm-bounds-checks,--experimental-wasm-revectorize,--max-semi-space-size=8
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -e $icd ]; then export VK_DRIVER_FILES=$icd; fi
RUN="deno run --no-check --cached-only -A"
GANGLION="$RUN src/cli/main.ts" BENCH="$RUN tests/bench"
SETUP
du -sh .gpu

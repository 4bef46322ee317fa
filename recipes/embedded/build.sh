#!/bin/sh
# Rebuild the embedded model from nothing: sh recipes/embedded/build.sh FOLDER. Each step takes itself up where it stopped.
# Minutes are those of two CPU cores. TRY=1 walks the whole road in some minutes, in a copy of the repository: it replaces
# the shipped weights by ones that have learnt next to nothing.
set -eu
run=$1
here=$(dirname "$0")
python=${PYTHON:-python3}
count=48000 share=1 scenes=200
set --
if test -n "${TRY:-}"; then
    count=256 share=0.004 scenes=4
    set -- "length=10 steps" data.count=32 data.held_out=4 eval.fidelity_samples=2 eval.preview_samples=2
fi
# One process a core averages its gradients with the others: faster than one process with several threads.
export OMP_NUM_THREADS=1
each() { "$python" -m torch.distributed.run --nproc-per-node "${CORES:-2}" "$@"; }
minutes() { echo "$1 $share" | awk '{print $1 * $2}'; }
test -f "$run/scenes/captions.json" || "$python" "$here/scenes.py" "$run/scenes" --count "$count"
test -d "$run/autoencoder/vae" || "$python" "$here/autoencoder.py" "$run/scenes" "$run/autoencoder" --count "$count" --minutes "$(minutes 70)"
test -d "$run/text/text_encoder" || "$python" "$here/text.py" "$run/scenes" "$run/text" --count "$count" --minutes "$(minutes 5)"
test -d "$run/base/pipeline" || each "$here/base.py" "$run/scenes" "$run/autoencoder" "$run/text" "$run/base" --count "$count" --minutes "$(minutes 120)"
test -f "$run/annotator/annotator.safetensors" || "$python" "$here/annotator.py" "$run/scenes" "$run/annotator" --count "$count" --autoencoder "$run/autoencoder" --minutes "$(minutes 60)"
# The adapters' recipes ask for the embedded base, so it has to be in its place before them.
"$python" "$here/install.py" "$run"
for kind in sketch canny depth seg openpose color; do
    folder="$run/adapters/$kind"
    if ! test -f "$folder/adapter/config.json"; then
        resume=; if test -d "$folder/checkpoints"; then resume=--resume; fi
        "$python" -m armature train "$here/$kind.toml" "run=$folder" "cache.folder=$run/cache" "$@" $resume
        "$python" "$here/install.py" "$run"
    fi
    "$python" -m armature evaluate "embedded:$kind" --data toyworld --count "$scenes" --batch 8 --out "$run/reports/$kind"
done
"$python" "$here/evaluate.py" "$run/figures.json" --count "$scenes"
"$python" "$here/card.py" "$run"

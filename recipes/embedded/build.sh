#!/bin/sh
# Rebuild the embedded model from nothing: sh recipes/embedded/build.sh FOLDER. Each step takes itself up where it stopped.
# Minutes are those of two CPU cores; give FACTOR=0.1 to try the road, or a faster machine's share.
set -eu
run=$1
here=$(dirname "$0")
python=${PYTHON:-python3}
# One process a core averages its gradients with the others: faster than one process with several threads.
export OMP_NUM_THREADS=1
each() { "$python" -m torch.distributed.run --nproc-per-node "${CORES:-2}" "$@"; }
minutes() { echo "$1 ${FACTOR:-1}" | awk '{print $1 * $2}'; }
test -f "$run/scenes/captions.json" || "$python" "$here/scenes.py" "$run/scenes"
test -d "$run/autoencoder/vae" || "$python" "$here/autoencoder.py" "$run/scenes" "$run/autoencoder" --minutes "$(minutes 60)"
test -d "$run/text/text_encoder" || "$python" "$here/text.py" "$run/scenes" "$run/text" --minutes "$(minutes 8)"
test -d "$run/base/pipeline" || each "$here/base.py" "$run/scenes" "$run/autoencoder" "$run/text" "$run/base" --minutes "$(minutes 120)"
test -f "$run/annotator/annotator.safetensors" || "$python" "$here/annotator.py" "$run/scenes" "$run/annotator" --autoencoder "$run/autoencoder" --minutes "$(minutes 30)"
test -d "$run/sketch/adapter" || each "$here/adapter.py" sketch "$run/scenes" "$run/base" "$run/sketch" --minutes "$(minutes 40)"
"$python" "$here/install.py" "$run"
"$python" "$here/evaluate.py" "$run/figures.json"
"$python" "$here/card.py" "$run" "$run/figures.json"

#!/bin/sh
# Create a Kubernetes job that runs a job script of Snakemake, and print its name:
# submit.sh MEGABYTES CORES MINUTES GPUS SCRIPT. Where: the variables below.
set -eu
: "${WSGCN_IMAGE:?is the image of the pods, of the same system as the one of the head}"
: "${WSGCN_CLAIM:?is the claim of the volume that holds project, .venv, data and results}"
: "${WSGCN_PATH:?is where that volume is mounted, in the head too}"
name="wsgcn-$(date +%s)-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
gpus=""
[ "$4" = 0 ] || gpus=", nvidia.com/gpu: \"$4\""
kubectl create -f - >&2 <<END
apiVersion: batch/v1
kind: Job
metadata: {name: $name, labels: {app: wsgcn}}
spec:
  backoffLimit: 0
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      activeDeadlineSeconds: $(($3 * 60))
      containers:
        - name: job
          image: "$WSGCN_IMAGE"
          workingDir: "$PWD"
          command: [/bin/sh, "$5"]
          resources:
            requests: {cpu: "$2", memory: "${1}M"}
            limits: {memory: "${1}M"$gpus}
          volumeMounts: [{name: project, mountPath: "$WSGCN_PATH"}]
      volumes: [{name: project, persistentVolumeClaim: {claimName: "$WSGCN_CLAIM"}}]
END
echo "$name"

#!/bin/sh
# Print success, failed or running for a job that submit.sh has created: status.sh NAME.
if ! counts=$(kubectl get job "$1" --ignore-not-found -o 'jsonpath=job {.status.succeeded} failed:{.status.failed}'); then
    echo running # the server does not answer: asked again later
    exit
fi
case $counts in
"") echo failed ;; # deleted by someone
"job 1 "*) echo success ;;
*failed:[1-9]*) echo failed ;;
*) echo running ;;
esac

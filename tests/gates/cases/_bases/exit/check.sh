for one in tests/*.sh; do sh "$one" || { echo "FAIL $one"; exit 1; }; done

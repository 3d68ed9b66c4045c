"""What it costs to judge many rules: beside Prometheus' own rules, and beside asking for each rule by itself."""

#!/bin/bash
# Sets up the runner of {{ install }}. Nothing in here is secret{% if role is none %}: the one-time token is read from SSM{% endif %}.
# CloudFormation fills in names in braces after a dollar; the shell's own variables stand without braces.
set -euo pipefail
export AWS_DEFAULT_REGION=${AWS::Region}

# The data volume holds terraform's state and the journal; only one machine can have it at a time.
imds=http://169.254.169.254/latest
session=$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 300" $imds/api/token)
machine=$(curl -sf -H "X-aws-ec2-metadata-token: $session" $imds/meta-data/instance-id)
for try in $(seq 60); do
  aws ec2 attach-volume --volume-id ${DataVolume} --instance-id "$machine" --device /dev/sdf && break
  [ "$try" -lt 60 ] || exit 1
  sleep 10
done
for try in $(seq 60); do
  device=$(readlink -f /dev/sdf || true)
  [ -b "$device" ] && break
  [ "$try" -lt 60 ] || exit 1
  sleep 2
done
blkid "$device" || mkfs.xfs -q "$device"
mkdir -p /var/lib/remit-runner
mount -o nodev,nosuid "$device" /var/lib/remit-runner

id remit-runner || useradd --system --home-dir /var/lib/remit-runner --shell /usr/sbin/nologin remit-runner
chown remit-runner: /var/lib/remit-runner
chmod 0700 /var/lib/remit-runner

curl -sSf --proto =https --retry 5 -o /root/remit-runner {{ runner_url }}
echo "{{ runner_sha256 }}  /root/remit-runner" | sha256sum -c
install -m 0755 /root/remit-runner /usr/local/bin/remit-runner

mkdir -p /etc/remit-runner
{% if ca %}
cat > /etc/remit-runner/ca.pem <<'REMIT_END'
{{ ca }}
REMIT_END
{% endif %}
cat > /etc/remit-runner/config.toml <<'REMIT_END'
broker = "{{ broker }}"
install = "{{ install }}"
root_sha256 = "{{ root_sha256 }}"
channel = "{{ channel }}"
{% if ca %}
ca_file = "/etc/remit-runner/ca.pem"
{% else %}
ca_file = "/etc/pki/tls/certs/ca-bundle.crt"
{% endif %}
data_dir = "/var/lib/remit-runner/data"
{% if role is none %}
token_from = "ssm:{{ token_name }}"
consume_token = true
{% endif %}
{% if account %}
# It proves that it is here when it enrols, and takes no job that is for elsewhere.
aws_account = "${AWS::AccountId}"
aws_region = "${AWS::Region}"
{% endif %}
# Terraform asks the metadata service for the credentials of this machine's role.
allow_metadata = true

[inputs]
{% for input in inputs %}
{{ input.name }} = {% if input.quoted %}"{% endif %}${{ "{" }}{{ input.parameter }}}{% if input.quoted %}"{% endif +%}
{% endfor %}
REMIT_END

cat > /etc/systemd/system/remit-runner.service <<'REMIT_END'
[Unit]
Description=Remit runner of {{ install }}
Wants=network-online.target
After=network-online.target

[Service]
User=remit-runner
Environment=AWS_REGION=${AWS::Region}
ExecStart=/usr/local/bin/remit-runner run --config /etc/remit-runner/config.toml
Restart=always
RestartSec=10
TimeoutStopSec=15min
KillMode=mixed
NoNewPrivileges=true
Delegate=yes
ProtectSystem=full
PrivateTmp=true

[Install]
WantedBy=multi-user.target
REMIT_END
systemctl daemon-reload
systemctl enable --now --no-block remit-runner.service

{%- for line in header %}
# {{ line|comment }}
{%- endfor %}
{%- for (name, value) in page.variables %}
export {{ name }}={{ value|sh }}
{%- endfor %}
{%- if let Some(key) = page.connection.key %}
export {{ page.key_name }}={{ key|sh_variable }}
{%- endif %}

select *
from raw
{% if params.all %}
where day = '{{ ds }}'
